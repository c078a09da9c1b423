// What JavaScript holds of the driver: contexts, and things that live in one. The collector closes what nobody closed.
#pragma once
#include <unistd.h>

#include "driver.h"

namespace gpu {

// One device's primary context. Everything that lives in it holds it, so it goes last.
struct ContextHolder {
  std::shared_ptr<Driver> driver;
  Device device = 0;
  Context context = nullptr;
  // A forked child has the handles but not the driver's state: it must not touch them.
  const pid_t owner = getpid();
  bool IsOurs() const { return owner == getpid(); }
  ~ContextHolder() {
    if (context != nullptr && IsOurs()) driver->PrimaryCtxRelease(device);
  }
  void Use(Napi::Env env) const {
    if (!IsOurs()) Throw(env, "FORKED", "CUDA was opened before this process was forked; open it again after exec");
    Check(env, *driver, driver->CtxSetCurrent(context), "cuCtxSetCurrent");
  }
};

enum class Kind { kDevice, kPooled, kImported, kMapped, kStream, kEvent, kModule };

struct Handle {
  std::shared_ptr<ContextHolder> owner;
  Kind kind = Kind::kDevice;
  Pointer pointer = 0;
  // Of mapped memory: what was reserved, and what backs it.
  size_t bytes = 0;
  Backing backing = 0;
  // Streams, events and modules. Waiting threads hold it too, so that it outlives a close.
  std::shared_ptr<void> object;
  bool is_open = true;
  // Idempotent. Failures are told by the result; a finalizer drops them: the context may be gone already.
  Result Close();
};

inline Handle NewHandle(std::shared_ptr<ContextHolder> owner, Kind kind) {
  Handle handle;
  handle.owner = std::move(owner);
  handle.kind = kind;
  return handle;
}
Napi::External<Handle> Wrap(Napi::Env env, Handle&& handle);
// Throws CLOSED. Makes its context the current one.
Handle& Open(const Napi::Value& value);
std::shared_ptr<ContextHolder> ContextOf(const Napi::Value& value);

inline Stream StreamOf(const Napi::Value& value) { return value.IsUndefined() ? nullptr : Open(value).object.get(); }
inline uint64_t U64(const Napi::Value& value) { return static_cast<uint64_t>(value.As<Napi::Number>().DoubleValue()); }

// Work without a stream is done when the call returns.
void FinishWithoutStream(Napi::Env env, const Driver& driver, const Napi::Value& stream);

void DefineDevices(Napi::Env env, Napi::Object exports);
void DefineMemory(Napi::Env env, Napi::Object exports);
void DefineOrder(Napi::Env env, Napi::Object exports);
void DefineSharing(Napi::Env env, Napi::Object exports);
void DefineKernels(Napi::Env env, Napi::Object exports);
void DefineHostKernels(Napi::Env env, Napi::Object exports);

inline void Define(Napi::Env env, Napi::Object exports, const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
  exports.Set(name, Napi::Function::New(env, function, name));
}

}  // namespace gpu
