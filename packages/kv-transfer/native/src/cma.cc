// Cross-memory attach: process_vm_readv/writev in batches of the kernel's vector limit, guarded by a pidfd.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>

#include "copy_pool.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

namespace transfer {
namespace {

constexpr size_t kVector = 1024;  // IOV_MAX on Linux
constexpr uint64_t kCallBytes = 16u << 20;  // between calls a stop is looked for

bool IsAlive(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
}

const char* CodeOf(int reason) {
  if (reason == EPERM) return "EPERM";
  if (reason == ESRCH) return "ESRCH";
  if (reason == EFAULT) return "EFAULT";
  if (reason == ENOSYS) return "ENOSYS";
  return "CMA";
}

// Moves one vector of equal total length on both sides; goes on after short transfers.
int Move(bool is_read, pid_t pid, iovec* local, size_t locals, iovec* remote, size_t remotes) {
  while (locals > 0) {
    const ssize_t moved = is_read ? process_vm_readv(pid, local, locals, remote, remotes, 0) : process_vm_writev(pid, local, locals, remote, remotes, 0);
    if (moved < 0) return errno;
    if (moved == 0) return EFAULT;
    auto advance = [moved](iovec*& vector, size_t& count) {
      size_t left = static_cast<size_t>(moved);
      while (count > 0 && left >= vector->iov_len) {
        left -= vector->iov_len;
        vector += 1;
        count -= 1;
      }
      if (left > 0) {
        vector->iov_base = static_cast<char*>(vector->iov_base) + left;
        vector->iov_len -= left;
      }
    };
    advance(local, locals);
    advance(remote, remotes);
  }
  return 0;
}

// Appends a piece; what touches the entry before it lengthens that entry.
void Append(iovec* vector, size_t& count, uintptr_t base, uint64_t bytes) {
  if (count > 0) {
    iovec& last = vector[count - 1];
    if (reinterpret_cast<uintptr_t>(last.iov_base) + last.iov_len == base) {
      last.iov_len += bytes;
      return;
    }
  }
  vector[count] = {reinterpret_cast<void*>(base), bytes};
  count += 1;
}

struct Outcome {
  int reason = 0;
  bool is_stopped = false;
};

Outcome Run(bool is_read, pid_t pid, int pidfd, const Runs& runs, const std::vector<Range>& local, const std::vector<Range>& remote, const std::atomic<bool>* stop) {
  Outcome outcome;
  if (!IsAlive(pidfd)) return {ESRCH, false};
  iovec here[kVector];
  iovec there[kVector];
  size_t locals = 0;
  size_t remotes = 0;
  uint64_t total = 0;
  auto flush = [&] {
    if (locals > 0 && outcome.reason == 0) outcome.reason = Move(is_read, pid, here, locals, there, remotes);
    locals = remotes = 0;
    total = 0;
    if (stop != nullptr && stop->load(std::memory_order_relaxed)) outcome.is_stopped = true;
  };
  for (size_t i = 0; i < runs.count && outcome.reason == 0 && !outcome.is_stopped; i += 1) {
    const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[i]);
    const uintptr_t l = local[runs.local_index[i]].base + static_cast<uint64_t>(runs.local_offset[i]);
    const uintptr_t r = remote[runs.remote_index[i]].base + static_cast<uint64_t>(runs.remote_offset[i]);
    for (uint32_t k = 0; k < runs.pieces[i] && outcome.reason == 0 && !outcome.is_stopped; k += 1) {
      const uintptr_t from_l = l + static_cast<uint64_t>(runs.local_stride[i]) * k;
      const uintptr_t from_r = r + static_cast<uint64_t>(runs.remote_stride[i]) * k;
      for (uint64_t done = 0; done < bytes && outcome.reason == 0 && !outcome.is_stopped;) {
        const uint64_t part = bytes - done < kCallBytes ? bytes - done : kCallBytes;
        if (locals == kVector || remotes == kVector || total + part > kCallBytes) flush();
        if (outcome.is_stopped) break;
        Append(here, locals, from_l + done, part);
        Append(there, remotes, from_r + done, part);
        total += part;
        done += part;
      }
    }
  }
  flush();
  // The pid may have gone to another process in between: then the bytes are not the peer's.
  if (outcome.reason == 0 && !IsAlive(pidfd)) outcome.reason = ESRCH;
  return outcome;
}

// cmaRuns(isRead, pid, pidfd, batch, localViews, remotePairs): done when it returns.
Napi::Value CmaRuns(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bool is_read = info[0].As<Napi::Boolean>();
  const Runs runs = ReadRuns(info[3].As<Napi::Object>());
  const auto local = ReadViews(info[4].As<Napi::Array>());
  const auto remote = ReadAddresses(info[5].As<Napi::BigUint64Array>());
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  const Outcome outcome = Run(is_read, info[1].As<Napi::Number>().Int32Value(), info[2].As<Napi::Number>().Int32Value(), runs, local, remote, nullptr);
  if (outcome.reason != 0) Throw(env, CodeOf(outcome.reason), std::string(is_read ? "process_vm_readv: " : "process_vm_writev: ") + strerror(outcome.reason));
  return env.Undefined();
}

struct Job {
  std::atomic<bool> stop{false};
  OwnedRuns owned;
  std::vector<Range> local;
  std::vector<Range> remote;
  explicit Job(const Runs& runs) : owned(runs) {}
};

// cmaRunsAsync(isRead, pid, pidfd, batch, localViews, remotePairs, done(isComplete, code?, message?)) -> stop().
Napi::Value CmaRunsAsync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const bool is_read = info[0].As<Napi::Boolean>();
  const pid_t pid = info[1].As<Napi::Number>().Int32Value();
  const int pidfd = info[2].As<Napi::Number>().Int32Value();
  auto job = std::make_shared<Job>(ReadRuns(info[3].As<Napi::Object>()));
  job->local = ReadViews(info[4].As<Napi::Array>());
  job->remote = ReadAddresses(info[5].As<Napi::BigUint64Array>());
  if (const int64_t bad = FirstOutside(job->owned.runs, job->local, job->remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  auto done = Napi::ThreadSafeFunction::New(env, info[6].As<Napi::Function>(), "stator cma", 0, 1);
  PoolOf(env).Add([=]() mutable {
    const Outcome outcome = Run(is_read, pid, pidfd, job->owned.runs, job->local, job->remote, &job->stop);
    done.BlockingCall([outcome](Napi::Env callEnv, Napi::Function callback) {
      if (outcome.reason == 0) callback.Call({Napi::Boolean::New(callEnv, !outcome.is_stopped)});
      else callback.Call({Napi::Boolean::New(callEnv, false), Napi::String::New(callEnv, CodeOf(outcome.reason)), Napi::String::New(callEnv, strerror(outcome.reason))});
    });
    done.Release();
  });
  return Napi::Function::New(env, [job](const Napi::CallbackInfo& stopInfo) -> Napi::Value {
    job->stop.store(true, std::memory_order_relaxed);
    return stopInfo.Env().Undefined();
  });
}

// cmaWords(pid, pidfd, address, target): reads 64-bit words of the peer.
Napi::Value CmaWords(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bool lossless = false;
  auto target = info[3].As<Napi::BigUint64Array>();
  iovec here{target.Data(), target.ByteLength()};
  iovec there{reinterpret_cast<void*>(static_cast<uintptr_t>(info[2].As<Napi::BigInt>().Uint64Value(&lossless))), target.ByteLength()};
  if (!IsAlive(info[1].As<Napi::Number>().Int32Value())) Throw(env, "ESRCH", "the peer process has ended");
  if (const int reason = Move(true, info[0].As<Napi::Number>().Int32Value(), &here, 1, &there, 1); reason != 0) Throw(env, CodeOf(reason), std::string("process_vm_readv: ") + strerror(reason));
  return env.Undefined();
}

Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  const long fd = syscall(SYS_pidfd_open, info[0].As<Napi::Number>().Int32Value(), 0);
  if (fd < 0) Throw(info.Env(), CodeOf(errno), std::string("pidfd_open: ") + strerror(errno));
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

// Under yama's restricted ptrace only a process that asked for it can be read by its siblings.
Napi::Value AllowAttach(const Napi::CallbackInfo& info) {
  prctl(PR_SET_PTRACER, static_cast<unsigned long>(-1), 0, 0, 0);
  return info.Env().Undefined();
}

}  // namespace

void InitCma(Napi::Env env, Napi::Object exports) {
  exports.Set("cmaRuns", Napi::Function::New(env, CmaRuns));
  exports.Set("cmaRunsAsync", Napi::Function::New(env, CmaRunsAsync));
  exports.Set("cmaWords", Napi::Function::New(env, CmaWords));
  exports.Set("pidfdOpen", Napi::Function::New(env, PidfdOpen));
  exports.Set("allowAttach", Napi::Function::New(env, AllowAttach));
}

}  // namespace transfer
