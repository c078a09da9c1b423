#include "outbox.h"

namespace transfer {

void Outbox::Push(Event event) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_released_) return;
  events_.push_back(std::move(event));
  if (is_scheduled_) return;
  is_scheduled_ = true;
  const auto status = call_.NonBlockingCall([self = shared_from_this()](Napi::Env env, Napi::Function callback) {
    std::vector<Event> events;
    {
      std::lock_guard<std::mutex> inner(self->mutex_);
      events.swap(self->events_);
      self->is_scheduled_ = false;
    }
    for (const Event& event : events) {
      Napi::HandleScope scope(env);
      callback.Call({Napi::Number::New(env, event.kind), Napi::Number::New(env, static_cast<double>(event.id)), Napi::Number::New(env, event.status),
                     Napi::String::New(env, event.message), Napi::Number::New(env, event.bytes)});
    }
  });
  // The environment is going: nobody is there to be told.
  if (status != napi_ok) is_released_ = true;
}

void Outbox::Release() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (is_released_) return;
  is_released_ = true;
  call_.Release();
}

}  // namespace transfer
