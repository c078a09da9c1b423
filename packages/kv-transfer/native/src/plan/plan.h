// A batch that is ready to run any number of times: its runs and addresses are kept here, so that posting it again crosses with one handle.
#pragma once
#include <atomic>
#include <memory>

#include "copy_pool.h"
#include "../mapping.h"

namespace transfer {

// A stretch of a batch: where it begins and how many bytes it has. Parts are what threads share a batch by, and where a stop is looked for.
struct Part {
  size_t run;
  uint32_t piece;
  uint64_t skip;
  uint64_t bytes;
};

std::vector<Part> CutParts(const Runs& runs, uint64_t total);

struct Outcome {
  // An errno, or 0.
  int reason = 0;
  bool is_stopped = false;
  // A region's life word was no longer 1.
  bool is_gone = false;
};

class Plan {
 public:
  Plan(const Runs& runs, std::vector<Range> local_ranges, std::vector<Range> remote_ranges);
  virtual ~Plan() = default;
  // Alive before and after, the data in between; the data of large batches is shared with the pool's threads.
  Outcome Run(bool is_read, CopyPool& pool, const std::atomic<bool>* stop);
  uint64_t total() const { return total_; }
  // The memory of this process that it works on.
  const Pins& pins() const { return pins_; }

 protected:
  virtual Outcome CheckLife() = 0;
  // Whether several threads are faster than one: the kernel's copy is bound by the core, ours by the memory.
  virtual bool IsShared() const = 0;
  // 0 or an errno.
  virtual int RunPart(bool is_read, const Part& part) = 0;

  // Visits the pieces of a part: visit(local address, remote address, bytes) -> false to end.
  template <typename Visit>
  void Walk(const Part& part, Visit&& visit) const {
    const Runs& runs = owned_.runs;
    uint64_t left = part.bytes;
    uint64_t skip = part.skip;
    uint32_t first = part.piece;
    for (size_t i = part.run; left > 0; i += 1) {
      const uint64_t bytes = static_cast<uint64_t>(runs.piece_bytes[i]);
      const uintptr_t l = local_[runs.local_index[i]].base + static_cast<uint64_t>(runs.local_offset[i]);
      const uintptr_t r = remote_[runs.remote_index[i]].base + static_cast<uint64_t>(runs.remote_offset[i]);
      const uint64_t local_stride = static_cast<uint64_t>(runs.local_stride[i]);
      const uint64_t remote_stride = static_cast<uint64_t>(runs.remote_stride[i]);
      for (uint32_t k = first; k < runs.pieces[i] && left > 0; k += 1) {
        const uint64_t take = bytes - skip < left ? bytes - skip : left;
        if (!visit(l + local_stride * k + skip, r + remote_stride * k + skip, take)) return;
        left -= take;
        skip = 0;
      }
      first = 0;
    }
  }

  Pins pins_;
  const OwnedRuns owned_;
  const std::vector<Range> local_;
  const std::vector<Range> remote_;

 private:
  uint64_t total_ = 0;
  std::vector<Part> parts_;
};

// The handle of a plan in JS.
Napi::Value WrapPlan(Napi::Env env, std::shared_ptr<Plan> plan);
void InitPlan(Napi::Env env, Napi::Object exports);
[[noreturn]] void ThrowErrno(Napi::Env env, int reason, const char* what);
const char* CodeOf(int reason);

}  // namespace transfer
