// Batches between memory and files: by io_uring where the kernel has it, else one call per extent, in both cases on the pool's threads.
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "plan.h"

namespace transfer {
namespace {

constexpr unsigned kDepth = 64;
// One operation moves no more: the device gets several to work on at once.
constexpr uint64_t kExtent = 256u << 10;
constexpr uint64_t kDirectAlign = 4096;

struct Extent {
  int fd;
  uint64_t offset;
  uint8_t* memory;
  uint64_t bytes;
};

int MoveExtent(bool is_read, Extent extent) {
  while (extent.bytes > 0) {
    const ssize_t moved = is_read ? pread(extent.fd, extent.memory, extent.bytes, static_cast<off_t>(extent.offset)) : pwrite(extent.fd, extent.memory, extent.bytes, static_cast<off_t>(extent.offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return errno;
    // The file is shorter than its owner said.
    if (moved == 0) return EFAULT;
    extent.offset += static_cast<uint64_t>(moved);
    extent.memory += moved;
    extent.bytes -= static_cast<uint64_t>(moved);
  }
  return 0;
}

// A ring of one thread, made at its first use.
class Ring {
 public:
  Ring() {
    io_uring_params params{};
    fd_ = static_cast<int>(syscall(SYS_io_uring_setup, kDepth, &params));
    if (fd_ < 0) return;
    const size_t submit_bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    const size_t complete_bytes = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
    ring_bytes_ = submit_bytes > complete_bytes ? submit_bytes : complete_bytes;
    entry_bytes_ = params.sq_entries * sizeof(io_uring_sqe);
    if ((params.features & IORING_FEAT_SINGLE_MMAP) == 0) {
      Fail();
      return;
    }
    ring_ = mmap(nullptr, ring_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQ_RING);
    entries_ = static_cast<io_uring_sqe*>(mmap(nullptr, entry_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQES));
    if (ring_ == MAP_FAILED || entries_ == MAP_FAILED) {
      Fail();
      return;
    }
    auto at = [this](unsigned offset) { return reinterpret_cast<unsigned*>(static_cast<char*>(ring_) + offset); };
    submit_tail_ = at(params.sq_off.tail);
    submit_mask_ = *at(params.sq_off.ring_mask);
    submit_array_ = at(params.sq_off.array);
    complete_head_ = at(params.cq_off.head);
    complete_tail_ = at(params.cq_off.tail);
    complete_mask_ = *at(params.cq_off.ring_mask);
    completions_ = reinterpret_cast<io_uring_cqe*>(static_cast<char*>(ring_) + params.cq_off.cqes);
  }
  ~Ring() { Fail(); }
  bool is_usable() const { return fd_ >= 0; }

  // At most kDepth extents; an errno or 0. Short operations are finished by plain calls. Returns only when none is in flight.
  int Move(bool is_read, const Extent* extents, unsigned count) {
    unsigned tail = *submit_tail_;
    for (unsigned i = 0; i < count; i += 1, tail += 1) {
      const unsigned slot = tail & submit_mask_;
      io_uring_sqe& entry = entries_[slot];
      entry = {};
      entry.opcode = is_read ? IORING_OP_READ : IORING_OP_WRITE;
      entry.fd = extents[i].fd;
      entry.addr = reinterpret_cast<uintptr_t>(extents[i].memory);
      entry.len = static_cast<unsigned>(extents[i].bytes);
      entry.off = extents[i].offset;
      entry.user_data = i;
      submit_array_[slot] = slot;
    }
    __atomic_store_n(submit_tail_, tail, __ATOMIC_RELEASE);
    int reason = 0;
    for (unsigned submitted = 0, done = 0; done < count;) {
      const long entered = syscall(SYS_io_uring_enter, fd_, count - submitted, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
      if (entered < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) return errno;
      if (entered > 0) submitted += static_cast<unsigned>(entered);
      unsigned head = *complete_head_;
      for (; head != __atomic_load_n(complete_tail_, __ATOMIC_ACQUIRE); head += 1, done += 1) {
        const io_uring_cqe& completion = completions_[head & complete_mask_];
        Extent rest = extents[completion.user_data];
        if (completion.res < 0 && completion.res != -EAGAIN && completion.res != -EINTR) {
          reason = -completion.res;
          continue;
        }
        const uint64_t moved = completion.res > 0 ? static_cast<uint64_t>(completion.res) : 0;
        rest.offset += moved;
        rest.memory += moved;
        rest.bytes -= moved;
        if (const int failed = MoveExtent(is_read, rest); failed != 0) reason = failed;
      }
      __atomic_store_n(complete_head_, head, __ATOMIC_RELEASE);
    }
    return reason;
  }

 private:
  void Fail() {
    if (ring_ != nullptr && ring_ != MAP_FAILED) munmap(ring_, ring_bytes_);
    if (entries_ != nullptr && entries_ != MAP_FAILED) munmap(entries_, entry_bytes_);
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    ring_ = nullptr;
    entries_ = nullptr;
  }
  int fd_ = -1;
  void* ring_ = nullptr;
  io_uring_sqe* entries_ = nullptr;
  size_t ring_bytes_ = 0;
  size_t entry_bytes_ = 0;
  unsigned* submit_tail_ = nullptr;
  unsigned submit_mask_ = 0;
  unsigned* submit_array_ = nullptr;
  unsigned* complete_head_ = nullptr;
  unsigned* complete_tail_ = nullptr;
  unsigned complete_mask_ = 0;
  io_uring_cqe* completions_ = nullptr;
};

struct File {
  int fd;
  // Opened past the page cache, or -1.
  int direct;
  uint64_t status_offset;
};

class FilePlan final : public Plan {
 public:
  FilePlan(const Runs& runs, std::vector<Range> local, std::vector<Range> remote, std::vector<File> files, bool rings) : Plan(runs, std::move(local), std::move(remote)), files_(std::move(files)), rings_(rings) {}

 protected:
  Outcome CheckLife() override {
    Outcome outcome;
    for (const File& file : files_) {
      uint64_t word = 0;
      outcome.reason = MoveExtent(true, {file.fd, file.status_offset, reinterpret_cast<uint8_t*>(&word), sizeof(word)});
      outcome.is_gone |= word != 1;
      if (outcome.reason != 0 || outcome.is_gone) break;
    }
    return outcome;
  }
  bool IsShared() const override { return true; }
  int RunPart(bool is_read, const Part& part) override {
    thread_local Ring ring;
    const bool uses_ring = rings_ && ring.is_usable();
    Extent extents[kDepth];
    unsigned count = 0;
    int reason = 0;
    auto flush = [&] {
      if (uses_ring) reason = ring.Move(is_read, extents, count);
      else
        for (unsigned i = 0; i < count && reason == 0; i += 1) reason = MoveExtent(is_read, extents[i]);
      count = 0;
    };
    // A region's base is the file's index, far apart: what is added to it is the position in the file.
    Walk(part, [&](uintptr_t l, uintptr_t r, uint64_t bytes) {
      const File& file = files_[r >> kIndexShift];
      uint64_t offset = r & ((uint64_t{1} << kIndexShift) - 1);
      auto* memory = reinterpret_cast<uint8_t*>(l);
      while (bytes > 0 && reason == 0) {
        const uint64_t take = bytes < kExtent ? bytes : kExtent;
        const bool is_aligned = ((offset | take | reinterpret_cast<uintptr_t>(memory)) & (kDirectAlign - 1)) == 0;
        extents[count++] = {file.direct >= 0 && is_aligned ? file.direct : file.fd, offset, memory, take};
        if (count == kDepth) flush();
        offset += take;
        memory += take;
        bytes -= take;
      }
      return reason == 0;
    });
    if (reason == 0 && count > 0) flush();
    return reason;
  }

 public:
  // Room for 65,536 files of 256 TiB.
  static constexpr unsigned kIndexShift = 48;

 private:
  const std::vector<File> files_;
  const bool rings_;
};

// planFiles(batch, localViews, files Float64Array [fd, directFd, bytes, statusOffset, …], rings) -> plan. The descriptors must stay open while it is run.
Napi::Value PlanFiles(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const Runs runs = ReadRuns(info[0].As<Napi::Object>());
  auto local = ReadViews(info[1].As<Napi::Array>());
  auto given = info[2].As<Napi::Float64Array>();
  std::vector<File> files;
  std::vector<Range> remote;
  for (size_t i = 0; i + 3 < given.ElementLength(); i += 4) {
    remote.push_back({static_cast<uintptr_t>(files.size()) << FilePlan::kIndexShift, static_cast<uint64_t>(given[i + 2])});
    files.push_back({static_cast<int>(given[i]), static_cast<int>(given[i + 1]), static_cast<uint64_t>(given[i + 3])});
  }
  if (const int64_t bad = FirstOutside(runs, local, remote); bad >= 0) Throw(env, "BOUNDS", "run " + std::to_string(bad) + " is outside its memory");
  return WrapPlan(env, std::make_shared<FilePlan>(runs, std::move(local), std::move(remote), std::move(files), info[3].As<Napi::Boolean>()));
}

Napi::Value HasRings(const Napi::CallbackInfo& info) { return Napi::Boolean::New(info.Env(), Ring().is_usable()); }

}  // namespace

void InitFile(Napi::Env env, Napi::Object exports) {
  exports.Set("planFiles", Napi::Function::New(env, PlanFiles));
  exports.Set("hasRings", Napi::Function::New(env, HasRings));
}

}  // namespace transfer
