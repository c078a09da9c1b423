// Copies between memory that is mapped here.
#include "plan.h"
#include "stream_copy.h"

namespace transfer {
namespace {

// Below this a batch is copied through the cache.
constexpr uint64_t kStreamBytes = 32u << 10;

class CopyPlan final : public Plan {
 public:
  CopyPlan(const Runs& runs, std::vector<Range> local, std::vector<Range> remote, std::vector<const uint64_t*> life) : Plan(runs, std::move(local), std::move(remote)), life_(std::move(life)) {
    pins_.Add(remote_);
    for (const uint64_t* word : life_) pins_.Add(reinterpret_cast<uintptr_t>(word));
  }

 protected:
  Outcome CheckLife() override {
    Outcome outcome;
    for (const uint64_t* word : life_) outcome.is_gone |= __atomic_load_n(word, __ATOMIC_SEQ_CST) != 1;
    return outcome;
  }
  bool IsShared() const override { return false; }
  int RunPart(bool is_read, const Part& part) override {
    ColdCopier copier(total() >= kStreamBytes);
    Walk(part, [&](uintptr_t l, uintptr_t r, uint64_t bytes) {
      copier.Add(reinterpret_cast<uint8_t*>(is_read ? l : r), reinterpret_cast<const uint8_t*>(is_read ? r : l), bytes);
      return true;
    });
    return 0;
  }

 private:
  const std::vector<const uint64_t*> life_;
};

// planCopy(batch, localViews, remoteViews, lifeWords) -> plan. Views and words must stay mapped while it is run. Throws { code: "BOUNDS" }.
Napi::Value PlanCopy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Runs runs = ReadRuns(info[0].As<Napi::Object>());
  auto local = ReadViews(info[1].As<Napi::Array>());
  auto remote = ReadViews(info[2].As<Napi::Array>());
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  std::vector<const uint64_t*> life;
  auto words = info[3].As<Napi::Array>();
  for (uint32_t i = 0; i < words.Length(); i += 1) life.push_back(words.Get(i).As<Napi::BigUint64Array>().Data());
  return WrapPlan(env, std::make_shared<CopyPlan>(runs, std::move(local), std::move(remote), std::move(life)));
}

// memcpyRuns(batch, localViews, remoteViews): the plain copy from remote to local that benches measure against.
Napi::Value MemcpyRuns(const Napi::CallbackInfo& info) {
  const Runs runs = ReadRuns(info[0].As<Napi::Object>());
  const auto local = ReadViews(info[1].As<Napi::Array>());
  const auto remote = ReadViews(info[2].As<Napi::Array>());
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(info.Env(), "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  for (size_t i = 0; i < runs.count; i += 1) {
    auto* to = reinterpret_cast<uint8_t*>(local[runs.local_index[i]].base + static_cast<uint64_t>(runs.local_offset[i]));
    auto* from = reinterpret_cast<uint8_t*>(remote[runs.remote_index[i]].base + static_cast<uint64_t>(runs.remote_offset[i]));
    for (uint32_t k = 0; k < runs.pieces[i]; k += 1)
      memcpy(to + static_cast<uint64_t>(runs.local_stride[i]) * k, from + static_cast<uint64_t>(runs.remote_stride[i]) * k, static_cast<size_t>(runs.piece_bytes[i]));
  }
  return info.Env().Undefined();
}

}  // namespace

void InitCopy(Napi::Env env, Napi::Object exports) {
  exports.Set("planCopy", Napi::Function::New(env, PlanCopy));
  exports.Set("memcpyRuns", Napi::Function::New(env, MemcpyRuns));
}

}  // namespace transfer
