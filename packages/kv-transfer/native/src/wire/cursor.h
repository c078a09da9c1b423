// Walks the bytes of one side of a batch in piece order, as vectors for the kernel.
#pragma once
#include <sys/uio.h>

#include "../runs.h"

namespace transfer::wire {

class Cursor {
 public:
  Cursor() = default;
  Cursor(const Runs* runs, const std::vector<Range>* table) : runs_(runs), table_(table) {
    for (size_t i = 0; i < runs->count; i += 1) left_ += static_cast<uint64_t>(runs->piece_bytes[i]) * runs->pieces[i];
  }
  uint64_t left() const { return left_; }

  // The next at most `limit` bytes; what touches is one entry. Returns the number of entries and adds their bytes to `filled`.
  size_t Fill(iovec* out, size_t capacity, uint64_t limit, uint64_t& filled) const {
    Cursor walk = *this;
    size_t count = 0;
    while (limit > 0 && walk.left_ > 0) {
      const uint64_t bytes = static_cast<uint64_t>(runs_->piece_bytes[walk.run_]) - walk.skip_;
      const uint64_t take = bytes < limit ? bytes : limit;
      const uintptr_t at = walk.Address();
      if (count > 0 && reinterpret_cast<uintptr_t>(out[count - 1].iov_base) + out[count - 1].iov_len == at) {
        out[count - 1].iov_len += take;
      } else {
        if (count == capacity) break;
        out[count] = {reinterpret_cast<void*>(at), take};
        count += 1;
      }
      filled += take;
      limit -= take;
      walk.Advance(take);
    }
    return count;
  }

  void Advance(uint64_t bytes) {
    left_ -= bytes;
    while (bytes > 0) {
      const uint64_t here = static_cast<uint64_t>(runs_->piece_bytes[run_]) - skip_;
      if (bytes < here) {
        skip_ += bytes;
        return;
      }
      bytes -= here;
      skip_ = 0;
      piece_ += 1;
      if (piece_ == runs_->pieces[run_]) {
        piece_ = 0;
        run_ += 1;
      }
    }
  }

 private:
  uintptr_t Address() const {
    return (*table_)[runs_->local_index[run_]].base + static_cast<uint64_t>(runs_->local_offset[run_]) + static_cast<uint64_t>(runs_->local_stride[run_]) * piece_ + skip_;
  }
  const Runs* runs_ = nullptr;
  const std::vector<Range>* table_ = nullptr;
  size_t run_ = 0;
  uint32_t piece_ = 0;
  uint64_t skip_ = 0;
  uint64_t left_ = 0;
};

}  // namespace transfer::wire
