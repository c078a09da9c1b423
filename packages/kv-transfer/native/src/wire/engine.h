// The progress threads: each drives its connections with one epoll, takes commands from JS and hands back events in batches.
#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "../outbox.h"
#include "connection.h"

namespace transfer::wire {

class Worker {
 public:
  Worker(const RegionTable& regions, std::shared_ptr<Outbox> outbox);
  ~Worker();
  void Attach(uint32_t connection, int fd, bool is_dialer, std::string greeting);
  void Detach(uint32_t connection);
  void Post(uint32_t connection, std::shared_ptr<Job> job);
  // Carries a small job on the calling thread where the progress thread has nothing to do with the connection, which saves two wakes. True if it is done,
  // and nobody else is told; else it was posted as ever.
  bool PostInline(uint32_t connection, const std::shared_ptr<Job>& job);
  void Stop(uint32_t connection, uint64_t job);

 private:
  struct Entry;
  void Queue(std::function<void()> command);
  // What the connection waits for, or nothing of it.
  void Watch(uint32_t connection, Entry& entry, bool is_watched);
  bool CanDrive(uint32_t connection, const Job& job);
  void Run();
  Connection* Find(uint32_t connection);
  // Sends what waits, and asks for what the connection now waits for; drops it when it is closed.
  void Settle(uint32_t connection);
  bool TakeCommands();

  const RegionTable& regions_;
  const std::shared_ptr<Outbox> outbox_;
  int epoll_;
  int wake_;
  std::atomic<bool> is_stopping_{false};
  std::mutex mutex_;
  std::deque<std::function<void()>> commands_;
  std::atomic<bool> is_asleep_{false};
  // Who drives the connections: the thread, except while it waits for events.
  std::mutex drive_;
  // The job of the thread that drives in its place, and whether it went well.
  const Job* inline_job_ = nullptr;
  bool is_inline_done_ = false;
  // Posts that go to the thread before the next is tried again, and how many that was at the last failure.
  unsigned inline_pause_ = 0;
  unsigned inline_penalty_ = 0;
  struct Entry {
    std::unique_ptr<Connection> connection;
    bool asks_for_write = false;
  };
  std::unordered_map<uint32_t, Entry> connections_;
  std::unordered_map<uint64_t, std::shared_ptr<Job>> jobs_;
  std::thread thread_;
};

class Engine {
 public:
  Engine(unsigned threads, std::shared_ptr<Outbox> outbox);
  ~Engine() { StopThreads(); }
  // Ends the threads and with them every connection. No memory is touched afterwards.
  void StopThreads() { workers_.clear(); }
  // After this no event is told. Not where the environment takes the call away by itself.
  void Release() { outbox_->Release(); }
  RegionTable& regions() { return regions_; }
  uint32_t Attach(int fd, bool is_dialer, std::string greeting);
  Worker& WorkerOf(uint32_t connection) { return *workers_.at(connection % workers_.size()); }
  uint64_t NextJob() { return next_job_++; }

 private:
  RegionTable regions_;
  const std::shared_ptr<Outbox> outbox_;
  std::vector<std::unique_ptr<Worker>> workers_;
  uint32_t next_connection_ = 1;
  uint64_t next_job_ = 1;
};

}  // namespace transfer::wire
