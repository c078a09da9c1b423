#include "device.h"

// Checksum of each piece: the sum of its 32-bit words, each times an odd weight of its place, modulo 2^32: the same in any order of threads. A warp
// takes 8 KiB at a time. `sums` start at zero.
extern "C" __global__ void stator_checksum(u32* sums, const u64* pieces, u64 words, u32 count) {
  const u64 chunk = 2048;
  const u64 chunks = (words + chunk - 1) / chunk;
  const u64 total = chunks * count;
  const u32 lane = (u32)(ThreadOfLaunch() % kWarp);
  for (u64 unit = ThreadOfLaunch() / kWarp; unit < total; unit += ThreadsOfLaunch() / kWarp) {
    const u64 piece = unit / chunks;
    const u64 first = (unit - piece * chunks) * chunk;
    const u64 last = first + chunk < words ? first + chunk : words;
    const u32* data = (const u32*)pieces[piece];
    u32 sum = 0;
    for (u64 i = first + lane; i < last; i += kWarp) sum += data[i] * (2u * (u32)i + 1u);
    atomicAdd(sums + piece, sum);
  }
}
