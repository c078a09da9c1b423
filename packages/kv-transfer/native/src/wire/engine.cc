#include "engine.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace transfer::wire {

namespace {
using Clock = std::chrono::steady_clock;
// Spun before sleeping, where there are cores for it: a wake from sleep costs more than most small transfers. On few cores a thread that spins takes the
// core of the one it waits for, and the kernel's hand-over from a sender to its receiver on one core is faster than any spinning.
constexpr unsigned kCoresToSpin = 4;
const auto kSpin = std::chrono::microseconds(std::thread::hardware_concurrency() >= kCoresToSpin ? 60 : 0);
constexpr uint64_t kWakeId = 0;
// Carried by the calling thread, which a copy of a megabyte would hold as long.
constexpr uint64_t kInlineBytes = 256u << 10;
constexpr auto kInlineWait = std::chrono::microseconds(100);
// A network that does not answer in that time is asked again this way after so many posts, doubling.
constexpr unsigned kFirstPause = 2;
constexpr unsigned kLastPause = 256;
// Kinds of events.
constexpr uint8_t kSettled = 0;
constexpr uint8_t kClosed = 1;
constexpr uint8_t kRefused = 2;
}  // namespace

Worker::Worker(const RegionTable& regions, std::shared_ptr<Outbox> outbox) : regions_(regions), outbox_(std::move(outbox)), epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kWakeId;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event);
  thread_ = std::thread([this] { Run(); });
}

Worker::~Worker() {
  Queue([this] { is_stopping_ = true; });
  thread_.join();
  connections_.clear();
  close(epoll_);
  close(wake_);
}

void Worker::Queue(std::function<void()> command) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    commands_.push_back(std::move(command));
  }
  // A thread that is awake looks by itself: the kernel is asked only for one that sleeps.
  if (!is_asleep_.exchange(false)) return;
  const uint64_t one = 1;
  if (write(wake_, &one, sizeof(one)) < 0) return;
}

Connection* Worker::Find(uint32_t id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.connection.get();
}

void Worker::Attach(uint32_t id, int fd, bool is_dialer, std::string greeting) {
  Queue([=, this_greeting = std::move(greeting)]() mutable {
    Listener listener;
    listener.settled = [this](const Job& job, Status status, const std::string& message) {
      if (&job == inline_job_ && status == Status::kOk) {
        is_inline_done_ = true;
        return;
      }
      outbox_->Push({kSettled, job.id, static_cast<uint8_t>(status), message, static_cast<double>(job.arrived())});
      jobs_.erase(job.id);
    };
    listener.refused = [this, id](Status status, const std::string& message) { outbox_->Push({kRefused, id, static_cast<uint8_t>(status), message}); };
    auto& entry = connections_[id];
    entry.connection = std::make_unique<Connection>(fd, is_dialer, regions_, std::move(listener));
    if (!this_greeting.empty()) entry.connection->Greet(std::move(this_greeting));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = id;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    Settle(id);
  });
}

void Worker::Detach(uint32_t id) {
  Queue([this, id] {
    if (Connection* connection = Find(id)) connection->Close("the connection was closed");
    Settle(id);
  });
}

void Worker::Post(uint32_t id, std::shared_ptr<Job> job) {
  Queue([this, id, job] {
    Connection* connection = Find(id);
    if (connection == nullptr) {
      outbox_->Push({kSettled, job->id, static_cast<uint8_t>(Status::kFailed), "the connection is closed"});
      return;
    }
    jobs_[job->id] = job;
    connection->Post(job);
    Settle(id);
  });
}

bool Worker::CanDrive(uint32_t id, const Job& job) {
  if (job.bytes() > kInlineBytes) return false;
  if (inline_pause_ > 0) {
    inline_pause_ -= 1;
    return false;
  }
  const Connection* connection = Find(id);
  std::lock_guard<std::mutex> lock(mutex_);
  return connection != nullptr && connection->is_idle() && commands_.empty();
}

bool Worker::PostInline(uint32_t id, const std::shared_ptr<Job>& job) {
  std::unique_lock<std::mutex> drive(drive_, std::try_to_lock);
  if (!drive.owns_lock() || !CanDrive(id, *job)) {
    if (drive.owns_lock()) drive.unlock();
    Post(id, job);
    return false;
  }
  Entry& entry = connections_.find(id)->second;
  Connection& connection = *entry.connection;
  // The thread would wake for the answer, only to find it taken.
  Watch(id, entry, false);
  inline_job_ = job.get();
  is_inline_done_ = false;
  jobs_[job->id] = job;
  connection.Post(job);
  const auto until = Clock::now() + kInlineWait;
  do {
    connection.Send();
    if (!connection.Receive() && !connection.wants_write()) connection.Await(std::chrono::duration_cast<std::chrono::nanoseconds>(until - Clock::now()));
  } while (!is_inline_done_ && connection.is_open() && connection.has_jobs() && Clock::now() < until);
  inline_job_ = nullptr;
  if (is_inline_done_) {
    jobs_.erase(job->id);
    inline_penalty_ = 0;
  } else {
    inline_penalty_ = inline_penalty_ == 0 ? kFirstPause : std::min(inline_penalty_ * 2, kLastPause);
    inline_pause_ = inline_penalty_;
  }
  const bool is_done = is_inline_done_;
  if (connection.is_open()) Watch(id, entry, true);
  Settle(id);
  return is_done;
}

void Worker::Watch(uint32_t id, Entry& entry, bool is_watched) {
  epoll_event event{};
  if (is_watched) event.events = entry.asks_for_write ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = id;
  epoll_ctl(epoll_, EPOLL_CTL_MOD, entry.connection->fd(), &event);
}

void Worker::Stop(uint32_t id, uint64_t job) {
  Queue([this, id, job] {
    const auto found = jobs_.find(job);
    Connection* connection = Find(id);
    if (found == jobs_.end() || connection == nullptr) return;
    connection->Stop(std::shared_ptr<Job>(found->second));
    Settle(id);
  });
}

void Worker::Settle(uint32_t id) {
  const auto found = connections_.find(id);
  if (found == connections_.end()) return;
  Entry& entry = found->second;
  if (entry.connection->is_open()) entry.connection->Send();
  if (!entry.connection->is_open()) {
    connections_.erase(found);
    outbox_->Push({kClosed, id, static_cast<uint8_t>(Status::kFailed), ""});
    return;
  }
  const bool asks = entry.connection->wants_write();
  if (asks == entry.asks_for_write) return;
  entry.asks_for_write = asks;
  Watch(id, entry, true);
}

bool Worker::TakeCommands() {
  std::deque<std::function<void()>> commands;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    commands.swap(commands_);
  }
  for (auto& command : commands) command();
  return !commands.empty();
}

void Worker::Run() {
  auto last_work = Clock::now();
  epoll_event events[64];
  std::unique_lock<std::mutex> drive(drive_);
  while (!is_stopping_) {
    bool is_busy = TakeCommands();
    const bool sleeps = !is_busy && Clock::now() - last_work > kSpin;
    if (sleeps) {
      is_asleep_ = true;
      // What was queued before we said that we sleep got no wake.
      if (TakeCommands()) {
        is_asleep_ = false;
        last_work = Clock::now();
        continue;
      }
    }
    drive.unlock();
    const int count = epoll_wait(epoll_, events, 64, sleeps ? -1 : 0);
    drive.lock();
    is_asleep_ = false;
    for (int i = 0; i < count; i += 1) {
      is_busy = true;
      if (events[i].data.u64 == kWakeId) {
        uint64_t drained;
        if (read(wake_, &drained, sizeof(drained)) < 0) continue;
        continue;
      }
      const uint32_t id = static_cast<uint32_t>(events[i].data.u64);
      if (Connection* connection = Find(id)) {
        if ((events[i].events & ~static_cast<uint32_t>(EPOLLOUT)) != 0) connection->Receive();
        Settle(id);
      }
    }
    if (is_busy) last_work = Clock::now();
  }
  // Told before the thread ends: whoever waits for a transfer hears of it.
  for (auto& [id, entry] : connections_) entry.connection->Close("the agent was closed");
}

Engine::Engine(unsigned threads, std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {
  for (unsigned i = 0; i < threads; i += 1) workers_.push_back(std::make_unique<Worker>(regions_, outbox_));
}

uint32_t Engine::Attach(int fd, bool is_dialer, std::string greeting) {
  const uint32_t id = next_connection_++;
  WorkerOf(id).Attach(id, fd, is_dialer, std::move(greeting));
  return id;
}

}  // namespace transfer::wire
