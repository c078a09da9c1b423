// Device and page-locked memory, and copies between them.
#include <cstring>

#include "handle.h"

namespace gpu {
namespace {

Napi::Value MemoryInfo(const Napi::CallbackInfo& info) {
  auto holder = ContextOf(info[0]);
  size_t free_bytes = 0, total = 0;
  Check(info.Env(), *holder->driver, holder->driver->MemGetInfo(&free_bytes, &total), "cuMemGetInfo");
  auto result = Napi::Object::New(info.Env());
  result.Set("freeBytes", static_cast<double>(free_bytes));
  result.Set("totalBytes", static_cast<double>(total));
  return result;
}

Napi::Value Allocate(const Napi::CallbackInfo& info) {
  Handle handle = NewHandle(ContextOf(info[0]), Kind::kDevice);
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->MemAlloc(&handle.pointer, U64(info[1])), "cuMemAlloc");
  return Wrap(info.Env(), std::move(handle));
}

Napi::Value AddressOf(const Napi::CallbackInfo& info) { return Napi::BigInt::New(info.Env(), static_cast<uint64_t>(Open(info[0]).pointer)); }

// pinned(context, bytes) -> ArrayBuffer of page-locked memory; freed when it is collected, with its context still held.
Napi::Value Pinned(const Napi::CallbackInfo& info) {
  auto holder = ContextOf(info[0]);
  void* address = nullptr;
  const size_t bytes = U64(info[1]);
  Check(info.Env(), *holder->driver, holder->driver->MemHostAlloc(&address, bytes, 1 /* portable */), "cuMemHostAlloc");
  memset(address, 0, bytes);
  return Napi::ArrayBuffer::New(
      info.Env(), address, bytes,
      [](Napi::Env, void* data, std::shared_ptr<ContextHolder>* held) {
        if ((*held)->IsOurs()) {
          (*held)->driver->CtxSetCurrent((*held)->context);
          (*held)->driver->MemFreeHost(data);
        }
        delete held;
      },
      new std::shared_ptr<ContextHolder>(holder));
}

// copy(kind, target, targetOffset, source, sourceOffset, bytes, stream): kind 0 host to device, 1 device to host, 2 device to device, 3 between devices.
Napi::Value Copy(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const int kind = info[0].As<Napi::Number>();
  const uint64_t to = U64(info[2]), from = U64(info[4]), bytes = U64(info[5]);
  if (kind == 0) {
    auto source = info[3].As<Napi::Uint8Array>();
    if (bytes > source.ByteLength() || from > source.ByteLength() - bytes) Throw(env, "BOUNDS", "the copy leaves the host buffer");
    Handle& target = Open(info[1]);
    Check(env, *target.owner->driver, target.owner->driver->MemcpyHtoDAsync(target.pointer + to, source.Data() + from, bytes, StreamOf(info[6])), "cuMemcpyHtoDAsync");
  } else if (kind == 1) {
    auto target = info[1].As<Napi::Uint8Array>();
    if (bytes > target.ByteLength() || to > target.ByteLength() - bytes) Throw(env, "BOUNDS", "the copy leaves the host buffer");
    Handle& source = Open(info[3]);
    Check(env, *source.owner->driver, source.owner->driver->MemcpyDtoHAsync(target.Data() + to, source.pointer + from, bytes, StreamOf(info[6])), "cuMemcpyDtoHAsync");
  } else {
    Handle& source = Open(info[3]);
    Handle& target = Open(info[1]);
    const Driver& driver = *target.owner->driver;
    const Result result = kind == 2 ? driver.MemcpyDtoDAsync(target.pointer + to, source.pointer + from, bytes, StreamOf(info[6]))
                                    : driver.MemcpyPeerAsync(target.pointer + to, target.owner->context, source.pointer + from, source.owner->context, bytes, StreamOf(info[6]));
    Check(env, driver, result, kind == 2 ? "cuMemcpyDtoDAsync" : "cuMemcpyPeerAsync");
  }
  FinishWithoutStream(env, *Open(info[kind == 0 ? 1 : 3]).owner->driver, info[6]);
  return env.Undefined();
}

Napi::Value Fill(const Napi::CallbackInfo& info) {
  Handle& target = Open(info[0]);
  Check(info.Env(), *target.owner->driver, target.owner->driver->MemsetD8Async(target.pointer + U64(info[1]), static_cast<unsigned char>(info[2].As<Napi::Number>().Uint32Value()), U64(info[3]), StreamOf(info[4])), "cuMemsetD8Async");
  FinishWithoutStream(info.Env(), *target.owner->driver, info[4]);
  return info.Env().Undefined();
}

// allocatePooled(context, bytes, stream): out of the device's pool, in the order of the stream.
Napi::Value AllocatePooled(const Napi::CallbackInfo& info) {
  Handle handle = NewHandle(ContextOf(info[0]), Kind::kPooled);
  const Driver& driver = *handle.owner->driver;
  Require(info.Env(), driver.MemAllocAsync, "cuMemAllocAsync");
  Check(info.Env(), driver, driver.MemAllocAsync(&handle.pointer, U64(info[1]), StreamOf(info[2])), "cuMemAllocAsync");
  return Wrap(info.Env(), std::move(handle));
}

}  // namespace

void DefineMemory(Napi::Env env, Napi::Object exports) {
  Define(env, exports, "memoryInfo", MemoryInfo);
  Define(env, exports, "allocate", Allocate);
  Define(env, exports, "allocatePooled", AllocatePooled);
  Define(env, exports, "addressOf", AddressOf);
  Define(env, exports, "pinned", Pinned);
  Define(env, exports, "copy", Copy);
  Define(env, exports, "fill", Fill);
}

}  // namespace gpu
