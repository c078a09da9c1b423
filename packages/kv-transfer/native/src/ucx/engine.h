// One worker of UCX and the thread that owns it: all of UCX's calls happen there, JS only queues and is told.
#pragma once
#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "../plan/copy_pool.h"
#include "../outbox.h"
#include "api.h"

namespace transfer::ucx {

struct Endpoint {
  ucp_ep_h handle = nullptr;
  std::atomic<ucs_status_t> failure{UCS_OK};
  // Unpacked once per peer, not per transfer.
  std::unordered_map<std::string, ucp_rkey_h> keys;
  bool is_open = true;
};

// Status words of a region, read before and after the data.
struct StatusWords {
  uint64_t address;
  Range before;
  Range after;
  ucp_rkey_h key;
};

// What a word must be before a write begins.
struct Expected {
  uint32_t table;
  uint32_t word;
  uint64_t value;
};

struct Job {
  explicit Job(const Runs& runs) : owned(runs) {}
  uint64_t id = 0;
  std::shared_ptr<Endpoint> endpoint;
  bool is_read = false;
  OwnedRuns owned;
  std::vector<Range> local;
  std::vector<Range> remote;
  std::vector<std::string> remote_keys;
  std::vector<std::string> status_keys;
  std::vector<ucp_rkey_h> rkeys;
  std::vector<StatusWords> words;
  std::vector<Expected> expected;
  enum class Phase { kStart, kData, kFlush, kAfter, kEnd } phase = Phase::kStart;
  // Requests of UCX that have not completed.
  size_t pending = 0;
  size_t run = 0;
  uint32_t piece = 0;
  ucs_status_t status = UCS_OK;
  std::atomic<bool> stop{false};
};

class Engine {
 public:
  Engine(const Api& api, std::shared_ptr<Outbox> outbox) : api_(api), outbox_(std::move(outbox)) {}
  ~Engine();
  // What went wrong, or "".
  std::string Start();
  void StopThread();

  const std::string& address() const { return address_; }
  const Api& api() const { return api_; }
  Outbox& outbox() { return *outbox_; }
  ucp_context_h context() const { return context_; }
  ucp_worker_h worker() const { return worker_; }

  void Queue(std::function<void()> command);
  // Runs on the progress thread and waits: for the short set-up calls only.
  template <typename Value>
  Value Call(std::function<Value()> command) {
    auto task = std::make_shared<std::packaged_task<Value()>>(std::move(command));
    auto result = task->get_future();
    Queue([task] { (*task)(); });
    return result.get();
  }
  void Add(std::shared_ptr<Job> job);
  void CloseEndpoint(const std::shared_ptr<Endpoint>& endpoint);

 private:
  void Progress();
  bool TakeCommands();
  ucp_rkey_h KeyOf(Job& job, const std::string& packed);
  void Take(Job& job, void* request);
  void ReadWords(Job& job, bool is_after);
  void PostData(Job& job);
  // One step of a job; true when it is over and told.
  bool Advance(Job& job);
  ucp_request_param_t ParamsFor(Job& job) const;

  const Api api_;
  const std::shared_ptr<Outbox> outbox_;
  ucp_context_h context_ = nullptr;
  ucp_worker_h worker_ = nullptr;
  int efd_ = -1;
  int wake_ = -1;
  std::string address_;
  std::thread thread_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> is_asleep_{false};
  std::mutex mutex_;
  std::deque<std::function<void()>> commands_;
  std::list<std::shared_ptr<Job>> jobs_;
  std::list<void*> closing_;
};

}  // namespace transfer::ucx
