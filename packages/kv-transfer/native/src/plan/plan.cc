// Plans as JS sees them: run within the call, or by the pool's threads with a callback.
#include "copy_jobs.h"

#include <cerrno>
#include <cstring>

namespace transfer {

namespace {
// From here on a batch is shared with the pool: waking a thread costs tens of microseconds.
constexpr uint64_t kShareBytes = 256u << 10;
constexpr uint64_t kMinPart = 128u << 10;
constexpr uint64_t kMaxPart = 1u << 20;

using Handle = std::shared_ptr<Plan>;

Handle& HandleOf(const Napi::Value& value) { return *value.As<Napi::External<Handle>>().Data(); }

// runPlan(plan, isRead) -> 0 done, 1 a region is gone. Throws { code } with the kernel's reason.
Napi::Value RunPlan(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Handle& plan = HandleOf(info[0]);
  // Nothing can be unmapped before this call returns.
  if (!plan->pins().IsMapped()) return Napi::Number::New(env, 1);
  const Outcome outcome = plan->Run(info[1].As<Napi::Boolean>(), JobsOf(env).pool(), nullptr);
  if (outcome.reason != 0) ThrowErrno(env, outcome.reason, "copying");
  return Napi::Number::New(env, outcome.is_gone ? 1 : 0);
}

// runPlanAsync(plan, isRead, done(status, code?, message?)) -> stop(). Status: 0 done, 1 a region is gone, 2 stopped, 3 failed with code and message.
Napi::Value RunPlanAsync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto stop = std::make_shared<std::atomic<bool>>(false);
  JobsOf(env).Post(env, HandleOf(info[0]), info[1].As<Napi::Boolean>(), stop, info[2].As<Napi::Function>());
  return Napi::Function::New(env, [stop](const Napi::CallbackInfo& stopInfo) -> Napi::Value {
    stop->store(true, std::memory_order_relaxed);
    return stopInfo.Env().Undefined();
  });
}
}  // namespace

std::vector<Part> CutParts(const Runs& runs, uint64_t total) {
  uint64_t size = total / 8;
  if (size < kMinPart) size = kMinPart;
  if (size > kMaxPart) size = kMaxPart;
  std::vector<Part> parts;
  Part open{0, 0, 0, 0};
  uint64_t left_in_all = total;
  for (size_t i = 0; i < runs.count; i += 1) {
    const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[i]);
    // Position within the run, in bytes of its pieces put end to end.
    const uint64_t run_bytes = bytes * runs.pieces[i];
    for (uint64_t at = 0; at < run_bytes;) {
      if (open.bytes == 0) open = {i, static_cast<uint32_t>(at / bytes), at % bytes, 0};
      const uint64_t want = size - open.bytes;
      const uint64_t take = run_bytes - at < want ? run_bytes - at : want;
      open.bytes += take;
      at += take;
      left_in_all -= take;
      // A rest that is hardly worth a part of its own stays with this one.
      if (open.bytes >= size && left_in_all >= kMinPart / 2) {
        parts.push_back(open);
        open.bytes = 0;
      } else if (open.bytes >= size) {
        size = open.bytes + left_in_all;
      }
    }
  }
  if (open.bytes > 0) parts.push_back(open);
  return parts;
}

Plan::Plan(const Runs& runs, std::vector<Range> local_ranges, std::vector<Range> remote_ranges) : owned_(runs), local_(std::move(local_ranges)), remote_(std::move(remote_ranges)) {
  for (size_t i = 0; i < runs.count; i += 1) total_ += static_cast<uint64_t>(runs.piece_bytes[i]) * runs.pieces[i];
  parts_ = CutParts(owned_.runs, total_);
  pins_.Add(local_);
}

Outcome Plan::Run(bool is_read, CopyPool& pool, const std::atomic<bool>* stop) {
  Outcome outcome = CheckLife();
  if (outcome.reason != 0 || outcome.is_gone) return outcome;
  std::atomic<int> reason{0};
  std::atomic<bool> is_stopped{false};
  auto run = [&](size_t i) {
    if (reason.load(std::memory_order_relaxed) != 0) return;
    if (pool.is_stopping() || (stop != nullptr && stop->load(std::memory_order_relaxed))) {
      is_stopped = true;
      return;
    }
    if (const int failed = RunPart(is_read, parts_[i]); failed != 0) reason = failed;
  };
  // Life and epochs are read before and after: no load or store of the data may move past them.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (total_ < kShareBytes || !IsShared())
    for (size_t i = 0; i < parts_.size(); i += 1) run(i);
  else pool.Share(parts_.size(), run);
  std::atomic_thread_fence(std::memory_order_seq_cst);
  outcome.reason = reason;
  outcome.is_stopped = is_stopped;
  if (outcome.reason != 0 || outcome.is_stopped) return outcome;
  return CheckLife();
}

const char* CodeOf(int reason) {
  if (reason == EPERM) return "EPERM";
  if (reason == ESRCH) return "ESRCH";
  if (reason == EFAULT) return "EFAULT";
  if (reason == ENOSYS) return "ENOSYS";
  return "ERRNO";
}

void ThrowErrno(Napi::Env env, int reason, const char* what) { Throw(env, CodeOf(reason), std::string(what) + ": " + strerror(reason)); }

Napi::Value WrapPlan(Napi::Env env, std::shared_ptr<Plan> plan) {
  return Napi::External<Handle>::New(env, new Handle(std::move(plan)), [](Napi::Env, Handle* held) { delete held; });
}

void InitPlan(Napi::Env env, Napi::Object exports) {
  exports.Set("runPlan", Napi::Function::New(env, RunPlan));
  exports.Set("runPlanAsync", Napi::Function::New(env, RunPlanAsync));
}

}  // namespace transfer
