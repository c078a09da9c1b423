// Memory that JS sees as ArrayBuffers: sealed memfds, mappings of peers' memfds, huge-page advised private memory.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "mapping.h"

namespace transfer {
namespace {

// Live mappings by address: `unmap` and the collector's finalizer let go of each exactly once, whoever comes first.
std::mutex registry_mutex;
std::map<uintptr_t, std::shared_ptr<Mapping>> registry;

// Lets go of the mapping at an address, or only of this one there.
void Release(void* address, const Mapping* only) {
  std::shared_ptr<Mapping> released;
  std::lock_guard<std::mutex> lock(registry_mutex);
  const auto found = registry.find(reinterpret_cast<uintptr_t>(address));
  if (found == registry.end() || (only != nullptr && found->second.get() != only)) return;
  released = std::move(found->second);
  registry.erase(found);
}

Napi::ArrayBuffer Wrap(Napi::Env env, void* address, size_t bytes) {
  auto mapping = std::make_shared<Mapping>(address, bytes);
  // The hint keeps the object, so that no later mapping can be taken for it; it does not keep the memory.
  auto* known = new std::weak_ptr<Mapping>(mapping);
  {
    std::lock_guard<std::mutex> lock(registry_mutex);
    registry[reinterpret_cast<uintptr_t>(address)] = std::move(mapping);
  }
  return Napi::ArrayBuffer::New(
      env, address, bytes,
      [](Napi::Env, void* at, std::weak_ptr<Mapping>* hint) {
        if (const auto still = hint->lock(); still != nullptr) Release(at, still.get());
        delete hint;
      },
      known);
}

size_t BytesOf(const Napi::Value& value) {
  const double bytes = value.As<Napi::Number>().DoubleValue();
  if (!(bytes >= 1) || bytes > 9e15) throw Napi::RangeError::New(value.Env(), "bytes must be a positive integer");
  return static_cast<size_t>(bytes);
}

// memfdAllocate(bytes) -> { fd, buffer }: reserved (no SIGBUS later), sealed against resizing, pre-faulted.
Napi::Value MemfdAllocate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const size_t bytes = BytesOf(info[0]);
  const int fd = memfd_create("stator-kv", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) Throw(env, "MEMFD", std::string("memfd_create: ") + strerror(errno));
  auto fail = [&](const char* what) {
    const int reason = errno;
    close(fd);
    Throw(env, "MEMFD", std::string(what) + ": " + strerror(reason));
  };
  if (ftruncate(fd, static_cast<off_t>(bytes)) != 0) fail("ftruncate");
  if (const int reason = posix_fallocate(fd, 0, static_cast<off_t>(bytes)); reason != 0) {
    errno = reason;
    fail("posix_fallocate");
  }
  if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) fail("F_ADD_SEALS");
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  if (address == MAP_FAILED) fail("mmap");
  auto result = Napi::Object::New(env);
  result.Set("fd", fd);
  result.Set("buffer", Wrap(env, address, bytes));
  return result;
}

// mapFd(fd, minBytes) -> buffer. Refuses what its owner could still shrink under us.
Napi::Value MapFd(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const size_t need = BytesOf(info[1]);
  struct stat status;
  const int seals = fcntl(fd, F_GET_SEALS);
  if (fstat(fd, &status) != 0 || static_cast<size_t>(status.st_size) < need || seals < 0 || (seals & F_SEAL_SHRINK) == 0) {
    close(fd);
    Throw(env, "MAP", "the peer's memory is smaller than it said, or not sealed against shrinking");
  }
  void* address = mmap(nullptr, need, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
  const int reason = errno;
  close(fd);
  if (address == MAP_FAILED) Throw(env, "MAP", std::string("mmap: ") + strerror(reason));
  return Wrap(env, address, need);
}

// hugeAllocate(bytes) -> buffer of anonymous memory for which huge pages were asked.
Napi::Value HugeAllocate(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const size_t huge = 2u << 20;
  const size_t bytes = (BytesOf(info[0]) + huge - 1) / huge * huge;
  // One page more than needed, trimmed to alignment: only whole aligned 2 MiB ranges become huge pages.
  void* raw = mmap(nullptr, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) Throw(env, "MMAP", std::string("mmap: ") + strerror(errno));
  const uintptr_t start = (reinterpret_cast<uintptr_t>(raw) + huge - 1) / huge * huge;
  const size_t before = start - reinterpret_cast<uintptr_t>(raw);
  if (before > 0) munmap(raw, before);
  if (huge - before > 0) munmap(reinterpret_cast<void*>(start + bytes), huge - before);
  void* address = reinterpret_cast<void*>(start);
  madvise(address, bytes, MADV_HUGEPAGE);
  memset(address, 0, bytes);
  return Wrap(env, address, bytes);
}

// unmap(buffer): at once, instead of when the garbage collector finds it. The buffer is detached.
Napi::Value Unmap(const Napi::CallbackInfo& info) {
  auto buffer = info[0].As<Napi::ArrayBuffer>();
  if (buffer.IsDetached()) return info.Env().Undefined();
  void* address = buffer.Data();
  buffer.Detach();
  Release(address, nullptr);
  return info.Env().Undefined();
}

Napi::Value AddressOf(const Napi::CallbackInfo& info) {
  auto view = info[0].As<Napi::Uint8Array>();
  return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(reinterpret_cast<uintptr_t>(view.Data())));
}

Napi::Value CloseFd(const Napi::CallbackInfo& info) {
  close(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

}  // namespace

std::shared_ptr<const Mapping> MappingOf(uintptr_t address) {
  std::lock_guard<std::mutex> lock(registry_mutex);
  auto after = registry.upper_bound(address);
  if (after == registry.begin()) return nullptr;
  const auto& mapping = std::prev(after)->second;
  return address - reinterpret_cast<uintptr_t>(mapping->address) < mapping->bytes ? mapping : nullptr;
}

void InitMapping(Napi::Env env, Napi::Object exports) {
  exports.Set("memfdAllocate", Napi::Function::New(env, MemfdAllocate));
  exports.Set("mapFd", Napi::Function::New(env, MapFd));
  exports.Set("hugeAllocate", Napi::Function::New(env, HugeAllocate));
  exports.Set("unmap", Napi::Function::New(env, Unmap));
  exports.Set("addressOf", Napi::Function::New(env, AddressOf));
  exports.Set("closeFd", Napi::Function::New(env, CloseFd));
}

}  // namespace transfer
