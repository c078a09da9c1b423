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
  void Stop(uint32_t connection, uint64_t job);

 private:
  void Queue(std::function<void()> command);
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
