// Batches that outlive the call from JS, and the threads that run them.
#pragma once
#include <unordered_map>

#include "../outbox.h"
#include "plan.h"

namespace transfer {

// One per environment (main thread or worker). When the environment goes, the threads end before any memory or callback does.
class CopyJobs {
 public:
  explicit CopyJobs(Napi::Env env);
  CopyPool& pool() { return pool_; }
  // Call on the JS thread. `done` is called with (status, code?, message?); until then it keeps what it refers to, and the batch its mappings.
  void Post(Napi::Env env, std::shared_ptr<Plan> plan, bool is_read, std::shared_ptr<std::atomic<bool>> stop, const Napi::Function& done);
  void Stop();

 private:
  void Tell(const Napi::CallbackInfo& info);

  CopyPool pool_;
  Napi::ThreadSafeFunction call_;
  std::shared_ptr<Outbox> outbox_;
  // What waits to be told, as strong references: the runtime's own memory that threads are in can't be collected. Touched by the JS thread only.
  std::unordered_map<uint64_t, Napi::FunctionReference> waiting_;
  uint64_t next_id_ = 0;
};

CopyJobs& JobsOf(Napi::Env env);

}  // namespace transfer
