// Streams and events: what comes after what.
#include <thread>

#include "handle.h"

namespace gpu {
namespace {

// A thread of its own waits, so that a faulted device answers too (a host function would never run), then the JS thread is told:
// done(code?, result?).
template <typename Wait>
void WaitElsewhere(Napi::Env env, const Napi::Value& callback, const char* name, std::shared_ptr<ContextHolder> owner, Wait wait) {
  auto done = Napi::ThreadSafeFunction::New(env, callback.As<Napi::Function>(), name, 0, 1);
  std::thread([owner = std::move(owner), wait = std::move(wait), done]() mutable {
    owner->driver->CtxSetCurrent(owner->context);
    const Result result = wait(*owner->driver);
    const char* failure = nullptr;
    if (result != 0) owner->driver->GetErrorName(result, &failure);
    const std::string code = failure == nullptr ? "" : failure;
    done.BlockingCall([result, code](Napi::Env env, Napi::Function call) {
      if (result == 0) call.Call({});
      else call.Call({Napi::String::New(env, code), Napi::Number::New(env, result)});
    });
    done.Release();
  }).detach();
}

Napi::Value CreateStream(const Napi::CallbackInfo& info) {
  Handle handle = NewHandle(ContextOf(info[0]), Kind::kStream);
  Stream stream = nullptr;
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->StreamCreate(&stream, 1 /* non-blocking */), "cuStreamCreate");
  handle.object = std::shared_ptr<void>(stream, [owner = handle.owner](void* object) {
    owner->driver->CtxSetCurrent(owner->context);
    owner->driver->StreamDestroy(object);
  });
  return Wrap(info.Env(), std::move(handle));
}

Napi::Value Synchronize(const Napi::CallbackInfo& info) {
  Handle& stream = Open(info[0]);
  WaitElsewhere(info.Env(), info[1], "stator cuda stream", stream.owner, [object = stream.object](const Driver& driver) { return driver.StreamSynchronize(object.get()); });
  return info.Env().Undefined();
}

Napi::Value AwaitEvent(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[0]);
  WaitElsewhere(info.Env(), info[1], "stator cuda event", event.owner, [object = event.object](const Driver& driver) { return driver.EventSynchronize(object.get()); });
  return info.Env().Undefined();
}

Napi::Value CreateEvent(const Napi::CallbackInfo& info) {
  Handle handle = NewHandle(ContextOf(info[0]), Kind::kEvent);
  Event event = nullptr;
  Check(info.Env(), *handle.owner->driver, handle.owner->driver->EventCreate(&event, 0), "cuEventCreate");
  handle.object = std::shared_ptr<void>(event, [owner = handle.owner](void* object) {
    owner->driver->CtxSetCurrent(owner->context);
    owner->driver->EventDestroy(object);
  });
  return Wrap(info.Env(), std::move(handle));
}

Napi::Value IsStreamIdle(const Napi::CallbackInfo& info) {
  Handle& stream = Open(info[0]);
  const Result result = stream.owner->driver->StreamQuery(stream.object.get());
  if (result != kNotReady) Check(info.Env(), *stream.owner->driver, result, "cuStreamQuery");
  return Napi::Boolean::New(info.Env(), result == 0);
}

Napi::Value RecordEvent(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[0]);
  Check(info.Env(), *event.owner->driver, event.owner->driver->EventRecord(event.object.get(), StreamOf(info[1])), "cuEventRecord");
  return info.Env().Undefined();
}

Napi::Value IsEventDone(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[0]);
  const Result result = event.owner->driver->EventQuery(event.object.get());
  if (result != kNotReady) Check(info.Env(), *event.owner->driver, result, "cuEventQuery");
  return Napi::Boolean::New(info.Env(), result == 0);
}

Napi::Value ElapsedMs(const Napi::CallbackInfo& info) {
  Handle& from = Open(info[0]);
  Handle& to = Open(info[1]);
  float ms = 0;
  Check(info.Env(), *from.owner->driver, from.owner->driver->EventElapsedTime(&ms, from.object.get(), to.object.get()), "cuEventElapsedTime");
  return Napi::Number::New(info.Env(), ms);
}

Napi::Value WaitEvent(const Napi::CallbackInfo& info) {
  Handle& event = Open(info[1]);
  Check(info.Env(), *event.owner->driver, event.owner->driver->StreamWaitEvent(StreamOf(info[0]), event.object.get(), 0), "cuStreamWaitEvent");
  return info.Env().Undefined();
}

}  // namespace

void DefineOrder(Napi::Env env, Napi::Object exports) {
  Define(env, exports, "createStream", CreateStream);
  Define(env, exports, "synchronize", Synchronize);
  Define(env, exports, "isStreamIdle", IsStreamIdle);
  Define(env, exports, "createEvent", CreateEvent);
  Define(env, exports, "recordEvent", RecordEvent);
  Define(env, exports, "isEventDone", IsEventDone);
  Define(env, exports, "awaitEvent", AwaitEvent);
  Define(env, exports, "elapsedMs", ElapsedMs);
  Define(env, exports, "waitEvent", WaitEvent);
}

}  // namespace gpu
