// Cross-memory attach: process_vm_readv/writev in batches of the kernel's vector limit, guarded by a pidfd.
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "plan.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef PR_SET_PTRACER
#define PR_SET_PTRACER 0x59616d61
#endif

namespace transfer {
namespace {

constexpr size_t kVector = 1024;  // IOV_MAX on Linux

bool IsAlive(int pidfd) {
  pollfd entry{pidfd, POLLIN, 0};
  return poll(&entry, 1, 0) == 0;
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

class CmaPlan final : public Plan {
 public:
  CmaPlan(pid_t pid, int pidfd, const Runs& runs, std::vector<Range> local, std::vector<Range> remote, std::vector<uintptr_t> life)
      : Plan(runs, std::move(local), std::move(remote)), pid_(pid), pidfd_(pidfd), life_(std::move(life)) {}

 protected:
  // The pid may have gone to another process: alive after the data means that it was the peer's all the time.
  Outcome CheckLife() override {
    Outcome outcome;
    for (size_t first = 0; first < life_.size(); first += kLives) {
      const size_t count = life_.size() - first < kLives ? life_.size() - first : kLives;
      uint64_t words[kLives];
      iovec here{words, count * sizeof(uint64_t)};
      iovec there[kLives];
      for (size_t i = 0; i < count; i += 1) there[i] = {reinterpret_cast<void*>(life_[first + i]), sizeof(uint64_t)};
      outcome.reason = Move(true, pid_, &here, 1, there, count);
      for (size_t i = 0; outcome.reason == 0 && i < count; i += 1) outcome.is_gone |= words[i] != 1;
      if (outcome.reason != 0 || outcome.is_gone) break;
    }
    if (outcome.reason == 0 && !IsAlive(pidfd_)) outcome.reason = ESRCH;
    return outcome;
  }
  bool IsShared() const override { return true; }
  int RunPart(bool is_read, const Part& part) override {
    iovec here[kVector];
    iovec there[kVector];
    size_t locals = 0;
    size_t remotes = 0;
    int reason = 0;
    Walk(part, [&](uintptr_t l, uintptr_t r, uint64_t bytes) {
      if (locals == kVector || remotes == kVector) {
        reason = Move(is_read, pid_, here, locals, there, remotes);
        locals = remotes = 0;
      }
      Append(here, locals, l, bytes);
      Append(there, remotes, r, bytes);
      return reason == 0;
    });
    if (reason == 0 && locals > 0) reason = Move(is_read, pid_, here, locals, there, remotes);
    return reason;
  }

 private:
  static constexpr size_t kLives = 64;
  const pid_t pid_;
  const int pidfd_;
  const std::vector<uintptr_t> life_;
};

// planCma(pid, pidfd, batch, localViews, remotePairs, lifeAddresses) -> plan. Throws { code: "BOUNDS" }.
Napi::Value PlanCma(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Runs runs = ReadRuns(info[2].As<Napi::Object>());
  auto local = ReadViews(info[3].As<Napi::Array>());
  auto remote = ReadAddresses(info[4].As<Napi::BigUint64Array>());
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  auto words = info[5].As<Napi::BigUint64Array>();
  std::vector<uintptr_t> life(words.Data(), words.Data() + words.ElementLength());
  return WrapPlan(env, std::make_shared<CmaPlan>(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Number>().Int32Value(), runs, std::move(local), std::move(remote), std::move(life)));
}

// cmaWords(pid, pidfd, address, target): reads 64-bit words of the peer.
Napi::Value CmaWords(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  bool lossless = false;
  auto target = info[3].As<Napi::BigUint64Array>();
  iovec here{target.Data(), target.ByteLength()};
  iovec there{reinterpret_cast<void*>(static_cast<uintptr_t>(info[2].As<Napi::BigInt>().Uint64Value(&lossless))), target.ByteLength()};
  if (!IsAlive(info[1].As<Napi::Number>().Int32Value())) Throw(env, "ESRCH", "the peer process has ended");
  if (const int reason = Move(true, info[0].As<Napi::Number>().Int32Value(), &here, 1, &there, 1); reason != 0) ThrowErrno(env, reason, "process_vm_readv");
  return env.Undefined();
}

Napi::Value PidfdOpen(const Napi::CallbackInfo& info) {
  const long fd = syscall(SYS_pidfd_open, info[0].As<Napi::Number>().Int32Value(), 0);
  if (fd < 0) ThrowErrno(info.Env(), errno, "pidfd_open");
  return Napi::Number::New(info.Env(), static_cast<double>(fd));
}

// Under yama's restricted ptrace only a process that asked for it can be read by its siblings.
Napi::Value AllowAttach(const Napi::CallbackInfo& info) {
  prctl(PR_SET_PTRACER, static_cast<unsigned long>(-1), 0, 0, 0);
  return info.Env().Undefined();
}

}  // namespace

void InitCma(Napi::Env env, Napi::Object exports) {
  exports.Set("planCma", Napi::Function::New(env, PlanCma));
  exports.Set("cmaWords", Napi::Function::New(env, CmaWords));
  exports.Set("pidfdOpen", Napi::Function::New(env, PidfdOpen));
  exports.Set("allowAttach", Napi::Function::New(env, AllowAttach));
}

}  // namespace transfer
