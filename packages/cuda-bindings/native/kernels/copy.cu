// Kernels that move bytes as they are.
#include "device.h"

// A warp's share of a piece: long pieces are cut, so that few of them still fill a device.
static constexpr u64 kChunkBytes = 8192;

// Pieces of equal length between two tables of addresses: gather, scatter, and both at once.
extern "C" __global__ void stator_copy_table(const u64* targets, const u64* sources, u64 bytes, u32 pieces) {
  const u64 chunks = (bytes + kChunkBytes - 1) / kChunkBytes;
  const u64 total = chunks * pieces;
  const u32 lane = (u32)(ThreadOfLaunch() % kWarp);
  for (u64 unit = ThreadOfLaunch() / kWarp; unit < total; unit += ThreadsOfLaunch() / kWarp) {
    const u64 piece = unit / chunks;
    const u64 at = (unit - piece * chunks) * kChunkBytes;
    const u64 left = bytes - at;
    CopyByWarp((u8*)targets[piece] + at, (const u8*)sources[piece] + at, left < kChunkBytes ? left : kChunkBytes, lane);
  }
}

// Runs of a regrouping plan (source offset, target offset, bytes, source stride, target stride, count as six u64 each): block split and merge, head
// split and concat for another TP, layer shares. `firsts[r]` is the number of pieces before run r, `firsts[runs]` their total.
extern "C" __global__ void stator_regroup(u8* target, const u8* source, const u64* runs, const u64* firsts, u32 count) {
  const u64 total = firsts[count];
  const u32 lane = (u32)(ThreadOfLaunch() % kWarp);
  for (u64 piece = ThreadOfLaunch() / kWarp; piece < total; piece += ThreadsOfLaunch() / kWarp) {
    u32 low = 0, high = count - 1;
    while (low < high) {
      const u32 middle = (low + high + 1) >> 1;
      if (firsts[middle] <= piece) low = middle;
      else high = middle - 1;
    }
    const u64* run = runs + 6ull * low;
    const u64 k = piece - firsts[low];
    CopyByWarp(target + run[1] + k * run[4], source + run[0] + k * run[3], run[2], lane);
  }
}

// A whole cache from one order of its axes to another: NHD to HND and back, block to universal and back. `shape`: four extents, outermost of the target
// first, then the four source strides and the four target strides of the same axes, in bytes, then the bytes of an innermost vector (a multiple of 4).
// Neighbouring threads take neighbouring words of the target.
extern "C" __global__ void stator_permute(u8* target, const u8* source, const u64* shape) {
  const u64* from = shape + 4;
  const u64* to = shape + 8;
  const u64 bytes = shape[12];
  u64 mix = (u64)target | (u64)source | bytes;
  for (u32 axis = 0; axis < 4; axis += 1) mix |= from[axis] | to[axis];
  const u64 word = (mix & 15) == 0 ? 16 : 4;
  const u64 words = bytes / word;
  const u64 total = shape[0] * shape[1] * shape[2] * shape[3] * words;
  for (u64 i = ThreadOfLaunch(); i < total; i += ThreadsOfLaunch()) {
    u64 rest = i / words;
    u64 source_at = (i - rest * words) * word;
    u64 target_at = source_at;
    for (int axis = 3; axis >= 0; axis -= 1) {
      const u64 outer = rest / shape[axis];
      const u64 index = rest - outer * shape[axis];
      source_at += index * from[axis];
      target_at += index * to[axis];
      rest = outer;
    }
    if (word == 16) *(Vector*)(target + target_at) = *(const Vector*)(source + source_at);
    else *(u32*)(target + target_at) = *(const u32*)(source + source_at);
  }
}
