#include "handle.h"

namespace gpu {

Result Handle::Close() {
  if (!is_open) return 0;
  is_open = false;
  if (!owner->IsOurs()) return 0;
  const Driver& driver = *owner->driver;
  driver.CtxSetCurrent(owner->context);
  switch (kind) {
    case Kind::kDevice:
      return driver.MemFree(pointer);
    case Kind::kPooled:
      return driver.MemFreeAsync(pointer, nullptr);
    case Kind::kImported:
      return driver.IpcCloseMemHandle(pointer);
    case Kind::kMapped: {
      const Result unmapped = driver.MemUnmap(pointer, bytes);
      const Result freed = driver.MemAddressFree(pointer, bytes);
      const Result released = driver.MemRelease(backing);
      return unmapped != 0 ? unmapped : freed != 0 ? freed : released;
    }
    case Kind::kStream:
    case Kind::kEvent:
    case Kind::kModule:
      object.reset();
      return 0;
  }
  return 0;
}

Napi::External<Handle> Wrap(Napi::Env env, Handle&& handle) {
  return Napi::External<Handle>::New(env, new Handle(std::move(handle)), [](Napi::Env, Handle* held) {
    held->Close();
    delete held;
  });
}

Handle& Open(const Napi::Value& value) {
  Handle& handle = *value.As<Napi::External<Handle>>().Data();
  if (!handle.is_open) Throw(value.Env(), "CLOSED", "the handle was closed");
  handle.owner->Use(value.Env());
  return handle;
}

std::shared_ptr<ContextHolder> ContextOf(const Napi::Value& value) {
  auto holder = *value.As<Napi::External<std::shared_ptr<ContextHolder>>>().Data();
  holder->Use(value.Env());
  return holder;
}

void FinishWithoutStream(Napi::Env env, const Driver& driver, const Napi::Value& stream) {
  if (stream.IsUndefined()) Check(env, driver, driver.StreamSynchronize(nullptr), "cuStreamSynchronize");
}

}  // namespace gpu
