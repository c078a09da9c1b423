// One data connection. The dialling end asks, the accepting end answers; all of it runs on the connection's progress thread.
#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "../plan/copy_pool.h"
#include "cursor.h"
#include "region_table.h"

namespace transfer::wire {

// One call of the kernel moves no more: the other end starts on the first part while the next is copied.
constexpr uint64_t kCall = 256u << 10;

// A request of this side.
struct Job {
  explicit Job(const Runs& from) : owned(from) {}
  uint64_t id = 0;
  bool is_read = false;
  OwnedRuns owned;
  std::vector<Range> local;
  // The mappings of that, until the job goes.
  Held held;
  std::string body;
  Cursor cursor;
  uint64_t total = 0;
  uint64_t bytes() const;
  // What a read's caller has already, in the order of its pieces. Of a write it is known only at the end.
  uint64_t arrived() const { return is_read ? total - cursor.left() : 0; }
  uint32_t request = 0;
  std::atomic<bool> is_stopped{false};
  // Its memory is the caller's again.
  bool is_settled = false;
};

// A request of the peer.
struct Served {
  Admitted admitted;
  Cursor cursor;
  bool is_read = false;
  bool is_stopped = false;
};

// What the connection tells its engine.
struct Listener {
  std::function<void(const Job& job, Status status, const std::string& message)> settled;
  std::function<void(Status status, const std::string& message)> refused;
};

class Connection {
 public:
  Connection(int fd, bool is_dialer, const RegionTable& regions, Listener listener);
  ~Connection();
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  bool wants_write() const { return is_blocked_; }
  bool has_jobs() const { return !jobs_.empty(); }
  // Nothing is on its way, in either direction.
  bool is_idle() const { return is_open() && jobs_.empty() && served_.empty() && streams_.empty() && out_.empty(); }

  void Greet(std::string bytes) { Queue(std::move(bytes)); }
  void Post(std::shared_ptr<Job> job);
  void Stop(const std::shared_ptr<Job>& job);
  // Moves what can be moved without waiting. True if anything moved.
  bool Receive();
  bool Send();
  // Until there is something to receive, or that time has passed.
  void Await(std::chrono::nanoseconds most) const;
  void Close(const std::string& reason);

 private:
  // A stream of DATA frames: a read's answer, or a write's bytes.
  struct Stream {
    uint32_t request;
    std::shared_ptr<Job> job;
    std::shared_ptr<Served> served;
    Cursor& cursor() { return job ? job->cursor : served->cursor; }
    bool is_stopped() const { return job ? job->is_stopped.load() : served->is_stopped; }
  };
  void Queue(std::string frame) { out_.push_back(std::move(frame)); }
  void SendEnd(uint32_t request, const Verdict& verdict) { Queue(Frame(Type::kEnd, verdict.status, request, verdict.message)); }
  bool BeginChunk();
  void EndStream();
  bool OnHeader();
  bool OnBody();
  bool OnRequest();
  void OnEnd();
  void OnCancel();
  bool TakeStaged();
  ssize_t ReceiveData();
  void ReceivedData(uint64_t bytes);
  void FindTarget();
  void Refuse(uint32_t request, const Verdict& verdict);

  int fd_;
  const bool is_dialer_;
  const RegionTable& regions_;
  const Listener listener_;
  bool is_blocked_ = false;

  std::deque<std::string> out_;
  size_t out_done_ = 0;
  std::deque<Stream> streams_;
  Header chunk_{};
  size_t chunk_header_left_ = 0;
  uint64_t chunk_left_ = 0;

  std::vector<char> staging_;
  size_t staged_ = 0;
  size_t staged_done_ = 0;
  Header header_{};
  bool has_header_ = false;
  uint64_t payload_left_ = 0;
  std::vector<char> body_;
  // Where the payload of the current DATA frame goes; neither: nowhere.
  std::shared_ptr<Job> into_job_;
  std::shared_ptr<Served> into_served_;

  std::unordered_map<uint32_t, std::shared_ptr<Job>> jobs_;
  std::unordered_map<uint32_t, std::shared_ptr<Served>> served_;
  uint32_t next_request_ = 1;
};

}  // namespace transfer::wire
