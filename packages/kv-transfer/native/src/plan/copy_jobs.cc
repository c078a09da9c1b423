#include "copy_jobs.h"

#include <cstring>

namespace transfer {

namespace {
constexpr uint8_t kDone = 0;
constexpr uint8_t kGone = 1;
constexpr uint8_t kStopped = 2;
constexpr uint8_t kFailed = 3;

unsigned Threads() {
  const unsigned cores = std::thread::hardware_concurrency();
  return cores >= 8 ? 4 : cores >= 2 ? 2 : 1;
}
}  // namespace

CopyJobs::CopyJobs(Napi::Env env) : pool_(Threads()) {
  auto tell = Napi::Function::New(env, [this](const Napi::CallbackInfo& info) { Tell(info); });
  call_ = Napi::ThreadSafeFunction::New(env, tell, "stator copy", 0, 1);
  call_.Unref(env);
  outbox_ = std::make_shared<Outbox>(call_);
  // Hooks run in the reverse order: this one before the call and the memory are taken away.
  env.AddCleanupHook([](CopyJobs* jobs) { jobs->Stop(); }, this);
}

void CopyJobs::Post(Napi::Env env, std::shared_ptr<Plan> plan, bool is_read, std::shared_ptr<std::atomic<bool>> stop, const Napi::Function& done) {
  const uint64_t id = next_id_++;
  if (waiting_.empty()) call_.Ref(env);
  waiting_.emplace(id, Napi::Persistent(done));
  Held held;
  if (!plan->pins().Hold(held)) {
    outbox_->Push({0, id, kGone, {}});
    return;
  }
  pool_.Add([this, id, is_read, outbox = outbox_, plan = std::move(plan), stop = std::move(stop), held = std::move(held)]() mutable {
    const Outcome outcome = plan->Run(is_read, pool_, stop.get());
    held.clear();
    // Errno fits in the event's kind.
    outbox->Push({static_cast<uint8_t>(outcome.reason), id, outcome.reason != 0 ? kFailed : outcome.is_stopped ? kStopped : outcome.is_gone ? kGone : kDone, {}});
  });
}

// (errno, id, status)
void CopyJobs::Tell(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const auto found = waiting_.find(static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value()));
  if (found == waiting_.end()) return;
  const Napi::FunctionReference done = std::move(found->second);
  waiting_.erase(found);
  if (waiting_.empty()) call_.Unref(env);
  const int reason = info[0].As<Napi::Number>().Int32Value();
  if (reason == 0) done.Call({info[2]});
  else done.Call({info[2], Napi::String::New(env, CodeOf(reason)), Napi::String::New(env, strerror(reason))});
}

void CopyJobs::Stop() {
  pool_.Stop();
  outbox_->Release();
}

CopyJobs& JobsOf(Napi::Env env) {
  auto* jobs = env.GetInstanceData<CopyJobs>();
  if (jobs == nullptr) {
    jobs = new CopyJobs(env);
    env.SetInstanceData<CopyJobs>(jobs);
  }
  return *jobs;
}

}  // namespace transfer
