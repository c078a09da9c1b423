// Copies for memory that is cold: four pages at a time, past the cache. What one stream of loads can have in flight is less than what the memory
// gives; four pages side by side double it, and stores that bypass the cache save reading what is overwritten. Measured in ADR 0060.
#pragma once
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace transfer {

constexpr uint64_t kPage = 4096;

#if defined(__x86_64__)

inline bool CanStream() {
  static const bool can = __builtin_cpu_supports("avx2");
  return can;
}

// Four blocks of `bytes` (a multiple of 64) to addresses that are multiples of 32.
__attribute__((target("avx2"))) inline void StreamFour(uint8_t* const to[4], const uint8_t* const from[4], uint64_t bytes) {
  for (uint64_t at = 0; at < bytes; at += 64) {
    for (int k = 0; k < 4; k += 1) {
      const uint8_t* source = from[k] + at;
      _mm_prefetch(reinterpret_cast<const char*>(source + 256), _MM_HINT_T0);
      const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source));
      const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(source + 32));
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to[k] + at), low);
      _mm256_stream_si256(reinterpret_cast<__m256i*>(to[k] + at + 32), high);
    }
  }
}

// Streaming stores are ordered by nothing but this.
inline void EndStream() { _mm_sfence(); }

#else

inline bool CanStream() { return false; }
inline void StreamFour(uint8_t* const[4], const uint8_t* const[4], uint64_t) {}
inline void EndStream() {}

#endif

// Takes the pieces of a batch one after the other and copies them four at a time where that pays.
class ColdCopier {
 public:
  // Small batches are likely to be looked at soon: they stay in the cache.
  explicit ColdCopier(bool is_large) : streams_(is_large && CanStream()) {}
  ~ColdCopier() {
    Flush();
    if (has_streamed_) EndStream();
  }

  void Add(uint8_t* to, const uint8_t* from, uint64_t bytes) {
    if (!streams_ || bytes < kPage / 2) {
      memcpy(to, from, bytes);
      return;
    }
    const uint64_t head = (32 - (reinterpret_cast<uintptr_t>(to) & 31)) & 31;
    memcpy(to, from, head);
    to += head;
    from += head;
    bytes -= head;
    while (bytes >= kPage) {
      Block(to, from, kPage);
      to += kPage;
      from += kPage;
      bytes -= kPage;
    }
    const uint64_t body = bytes / 64 * 64;
    if (body >= kPage / 2) Block(to, from, body);
    else memcpy(to, from, body);
    memcpy(to + body, from + body, bytes - body);
  }

 private:
  void Block(uint8_t* to, const uint8_t* from, uint64_t bytes) {
    if (count_ > 0 && bytes != bytes_) Flush();
    bytes_ = bytes;
    to_[count_] = to;
    from_[count_] = from;
    count_ += 1;
    if (count_ < 4) return;
    StreamFour(to_, from_, bytes_);
    has_streamed_ = true;
    count_ = 0;
  }
  void Flush() {
    for (int k = 0; k < count_; k += 1) memcpy(to_[k], from_[k], bytes_);
    count_ = 0;
  }

  uint8_t* to_[4];
  const uint8_t* from_[4];
  uint64_t bytes_ = 0;
  int count_ = 0;
  const bool streams_;
  bool has_streamed_ = false;
};

}  // namespace transfer
