// Events of own threads wait here until the JS thread takes them all at once.
#pragma once
#include <napi.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace transfer {

struct Event {
  uint8_t kind;
  uint64_t id;
  uint8_t status;
  std::string message;
  // Bytes that have arrived, where the event is the end of something that moves bytes.
  double bytes = 0;
};

class Outbox : public std::enable_shared_from_this<Outbox> {
 public:
  // `call` is called back as (kind, id, status, message, bytes).
  explicit Outbox(Napi::ThreadSafeFunction call) : call_(std::move(call)) {}
  void Push(Event event);
  // After this no event is taken; those that wait are still told. Not where the environment takes the call away by itself.
  void Release();

 private:
  std::mutex mutex_;
  std::vector<Event> events_;
  bool is_scheduled_ = false;
  bool is_released_ = false;
  Napi::ThreadSafeFunction call_;
};

}  // namespace transfer
