// What kernels need of their surroundings. With STATOR_ON_CPU the same sources are plain C++: each thread of a launch runs to its end before the
// next, which is exact for kernels that neither synchronise nor shuffle. None of these do.
#pragma once

#if defined(STATOR_ON_CPU)
struct Vector {
  unsigned int x, y, z, w;
};
struct LaunchIndex {
  unsigned x;
};
static LaunchIndex threadIdx, blockIdx, blockDim, gridDim;
#define __global__
#define __device__
static inline unsigned atomicAdd(unsigned* at, unsigned value) {
  const unsigned before = *at;
  *at += value;
  return before;
}
#else
typedef uint4 Vector;
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

static constexpr u32 kWarp = 32;

// This thread among all of the launch, and all of the launch.
static __device__ inline u64 ThreadOfLaunch() { return (u64)blockIdx.x * blockDim.x + threadIdx.x; }
static __device__ inline u64 ThreadsOfLaunch() { return (u64)gridDim.x * blockDim.x; }

// `bytes` bytes by the 32 threads of one warp: the widest access that addresses and length allow, four loads in flight per thread.
template <typename Word>
static __device__ inline void CopyWords(u8* to, const u8* from, u64 words, u32 lane) {
  Word* target = (Word*)to;
  const Word* source = (const Word*)from;
  u64 i = lane;
  for (; i + 3 * kWarp < words; i += 4 * kWarp) {
    const Word a = source[i], b = source[i + kWarp], c = source[i + 2 * kWarp], d = source[i + 3 * kWarp];
    target[i] = a;
    target[i + kWarp] = b;
    target[i + 2 * kWarp] = c;
    target[i + 3 * kWarp] = d;
  }
  for (; i < words; i += kWarp) target[i] = source[i];
}

static __device__ inline void CopyByWarp(u8* to, const u8* from, u64 bytes, u32 lane) {
  const u64 mix = (u64)to | (u64)from | bytes;
  if ((mix & 15) == 0) CopyWords<Vector>(to, from, bytes / 16, lane);
  else if ((mix & 3) == 0) CopyWords<u32>(to, from, bytes / 4, lane);
  else CopyWords<u8>(to, from, bytes, lane);
}
