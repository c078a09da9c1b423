// Own threads for large batches, and batches that outlive the call from JS.
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "../runs.h"

namespace transfer {

struct OwnedRuns {
  std::vector<uint32_t> indexes;
  std::vector<double> numbers;
  Runs runs;

  explicit OwnedRuns(const Runs& from) {
    const size_t n = from.count;
    indexes.reserve(3 * n);
    for (const uint32_t* array : {from.local_index, from.remote_index, from.pieces}) indexes.insert(indexes.end(), array, array + n);
    numbers.reserve(5 * n);
    for (const double* array : {from.local_offset, from.local_stride, from.remote_offset, from.remote_stride, from.piece_bytes}) numbers.insert(numbers.end(), array, array + n);
    runs = from;
    runs.local_index = indexes.data();
    runs.remote_index = runs.local_index + n;
    runs.pieces = runs.remote_index + n;
    runs.local_offset = numbers.data();
    runs.local_stride = runs.local_offset + n;
    runs.remote_offset = runs.local_stride + n;
    runs.remote_stride = runs.remote_offset + n;
    runs.piece_bytes = runs.remote_stride + n;
  }
  // The runs point into the vectors.
  OwnedRuns(const OwnedRuns&) = delete;
  OwnedRuns& operator=(const OwnedRuns&) = delete;
};

// Few own threads: libuv's pool stays free for files and DNS.
class CopyPool {
 public:
  explicit CopyPool(unsigned threads) {
    for (unsigned i = 0; i < threads; i += 1) threads_.emplace_back([this] { Work(); });
  }
  ~CopyPool() { Stop(); }
  // Ends the threads at the next part of what they copy; jobs that have not begun are told to stop as well.
  void Stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
    for (auto& thread : threads_)
      if (thread.joinable()) thread.join();
  }
  bool is_stopping() const { return is_stopping_.load(std::memory_order_relaxed); }
  // Runs work(0) to work(count - 1), here and on whatever threads are free, and returns when all have ended. On a machine whose cores are taken,
  // helpers only make us wait for their turn: where that was seen, the next calls do without them.
  void Share(size_t count, const std::function<void(size_t)>& work) {
    if (count < 2 || resting_ > 0 || sleeping_.load(std::memory_order_relaxed) == 0) {
      if (resting_ > 0) resting_ -= 1;
      for (size_t i = 0; i < count; i += 1) work(i);
      return;
    }
    struct Shared {
      std::function<void(size_t)> work;
      std::atomic<size_t> next{0};
      std::atomic<size_t> ended{0};
    };
    auto shared = std::make_shared<Shared>();
    shared->work = work;
    // A thread that comes late finds nothing left: what `work` refers to is not touched after this returns.
    auto take = [shared, count] {
      for (size_t i; (i = shared->next.fetch_add(1, std::memory_order_relaxed)) < count;) {
        shared->work(i);
        shared->ended.fetch_add(1, std::memory_order_release);
      }
    };
    using Clock = std::chrono::steady_clock;
    const auto start = Clock::now();
    const size_t helpers = threads_.size() < count - 1 ? threads_.size() : count - 1;
    for (size_t i = 0; i < helpers; i += 1) Add(take);
    take();
    const auto own = Clock::now();
    for (unsigned spins = 0; shared->ended.load(std::memory_order_acquire) < count; spins += 1)
      if (spins > 1000) std::this_thread::yield();
    if (Clock::now() - own > (own - start) / 2) {
      if (rest_ < 1024) rest_ = rest_ * 2;
      resting_ = rest_.load();
    } else if (rest_ > kRest) {
      rest_ -= 1;
    }
  }
  void Add(std::function<void()> job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void Work() {
    for (;;) {
      std::function<void()> job;
      {
        std::unique_lock<std::mutex> lock(mutex_);
        sleeping_.fetch_add(1, std::memory_order_relaxed);
        wake_.wait(lock, [this] { return is_stopping_ || !jobs_.empty(); });
        sleeping_.fetch_sub(1, std::memory_order_relaxed);
        if (jobs_.empty()) return;
        job = std::move(jobs_.front());
        jobs_.pop_front();
      }
      job();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  static constexpr unsigned kRest = 8;
  // Calls that go without helpers, and how many that will be the next time. Touched by any thread that shares: being off by one harms nothing.
  std::atomic<unsigned> resting_{0};
  std::atomic<unsigned> rest_{kRest};
  std::atomic<unsigned> sleeping_{0};
  std::atomic<bool> is_stopping_{false};
};

}  // namespace transfer
