// Copies between memory that is mapped here. One call per batch: inline for small batches, by own threads for large ones.

#include <atomic>
#include <cstring>
#include <memory>

#include "copy_pool.h"

namespace transfer {
namespace {


void CopyPiece(void* to, const void* from, uint64_t bytes) { memcpy(to, from, bytes); }

// Copies, and gives up between parts of at most 1 MiB when told to stop. False when it stopped early.
bool CopyRuns(bool is_read, const Runs& runs, const std::vector<Range>& local, const std::vector<Range>& remote, const std::atomic<bool>* stop) {
  // Epochs are read before and after: no load or store of the data may move past them.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  constexpr uint64_t kPart = 1u << 20;
  for (size_t i = 0; i < runs.count; i += 1) {
    const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[i]);
    const uint32_t pieces = runs.pieces[i];
    auto* here = reinterpret_cast<uint8_t*>(local[runs.local_index[i]].base + static_cast<uint64_t>(runs.local_offset[i]));
    auto* there = reinterpret_cast<uint8_t*>(remote[runs.remote_index[i]].base + static_cast<uint64_t>(runs.remote_offset[i]));
    const uint64_t local_stride = static_cast<uint64_t>(runs.local_stride[i]);
    const uint64_t remote_stride = static_cast<uint64_t>(runs.remote_stride[i]);
    for (uint32_t k = 0; k < pieces; k += 1) {
      uint8_t* to = (is_read ? here : there) + (is_read ? local_stride : remote_stride) * k;
      const uint8_t* from = (is_read ? there : here) + (is_read ? remote_stride : local_stride) * k;
      if (stop == nullptr || bytes <= kPart) {
        if (stop != nullptr && stop->load(std::memory_order_relaxed)) return false;
        CopyPiece(to, from, bytes);
        continue;
      }
      for (uint64_t done = 0; done < bytes; done += kPart) {
        if (stop->load(std::memory_order_relaxed)) return false;
        CopyPiece(to + done, from + done, bytes - done < kPart ? bytes - done : kPart);
      }
    }
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  return true;
}

// copyRuns(isRead, batch, localViews, remoteViews): done when it returns. Throws { code: "BOUNDS" } before any byte moves.
Napi::Value CopyRunsSync(const Napi::CallbackInfo& info) {
  const Runs runs = ReadRuns(info[1].As<Napi::Object>());
  const auto local = ReadViews(info[2].As<Napi::Array>());
  const auto remote = ReadViews(info[3].As<Napi::Array>());
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(info.Env(), "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  CopyRuns(info[0].As<Napi::Boolean>(), runs, local, remote, nullptr);
  return info.Env().Undefined();
}

struct Job {
  std::atomic<bool> stop{false};
  std::atomic<bool> is_complete{true};
  bool is_read;
  OwnedRuns owned;
  std::vector<Range> local;
  std::vector<Range> remote;
  Job(bool read, const Runs& runs) : is_read(read), owned(runs) {}
};

// copyRunsAsync(isRead, batch, localViews, remoteViews, done(isComplete)) -> stop(). The views must live until done.
Napi::Value CopyRunsAsync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  auto job = std::make_shared<Job>(info[0].As<Napi::Boolean>(), ReadRuns(info[1].As<Napi::Object>()));
  job->local = ReadViews(info[2].As<Napi::Array>());
  job->remote = ReadViews(info[3].As<Napi::Array>());
  if (const int64_t bad = FirstOutside(job->owned.runs, job->local, job->remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  // The views are kept by the callback's closure data: collected memory would be copied into.
  auto done = Napi::ThreadSafeFunction::New(env, info[4].As<Napi::Function>(), "stator copy", 0, 1);
  PoolOf(env).Add([job, done]() mutable {
    const bool is_complete = CopyRuns(job->is_read, job->owned.runs, job->local, job->remote, &job->stop);
    done.BlockingCall([is_complete](Napi::Env callEnv, Napi::Function callback) { callback.Call({Napi::Boolean::New(callEnv, is_complete)}); });
    done.Release();
  });
  return Napi::Function::New(env, [job](const Napi::CallbackInfo& stopInfo) -> Napi::Value {
    job->stop.store(true, std::memory_order_relaxed);
    return stopInfo.Env().Undefined();
  });
}

}  // namespace

// One per environment (main thread or worker), ended by its cleanup hook after its last job.
CopyPool& PoolOf(Napi::Env env) {
  auto* pool = env.GetInstanceData<CopyPool>();
  if (pool == nullptr) {
    const unsigned cores = std::thread::hardware_concurrency();
    pool = new CopyPool(cores >= 8 ? 4 : cores >= 4 ? 2 : 1);
    env.SetInstanceData<CopyPool>(pool);
  }
  return *pool;
}

void InitCopy(Napi::Env env, Napi::Object exports) {
  exports.Set("copyRuns", Napi::Function::New(env, CopyRunsSync));
  exports.Set("copyRunsAsync", Napi::Function::New(env, CopyRunsAsync));
}

}  // namespace transfer
