// KV-cache kernels in plain CUDA C++. Compiled to PTX by `node tools/native/ptx.mjs` with nvcc or clang; the PTX is committed as src/kernels/kv-kernels.ts.
// No CUDA header is needed: what clang lacks without them is declared here.
#if defined(__clang__)
#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
static __device__ inline unsigned ThreadX() { return __nvvm_read_ptx_sreg_tid_x(); }
static __device__ inline unsigned BlockX() { return __nvvm_read_ptx_sreg_ctaid_x(); }
static __device__ inline unsigned BlockSize() { return __nvvm_read_ptx_sreg_ntid_x(); }
static __device__ inline unsigned GridSize() { return __nvvm_read_ptx_sreg_nctaid_x(); }
#else
static __device__ inline unsigned ThreadX() { return threadIdx.x; }
static __device__ inline unsigned BlockX() { return blockIdx.x; }
static __device__ inline unsigned BlockSize() { return blockDim.x; }
static __device__ inline unsigned GridSize() { return gridDim.x; }
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
struct alignas(16) Vector {
  u32 x, y, z, w;
};

// Widest access that addresses and length allow: 16, 4 or 1 bytes.
static __device__ inline void CopyPiece(u8* to, const u8* from, u64 bytes) {
  const u64 mix = (u64)to | (u64)from | bytes;
  if ((mix & 15) == 0) {
    for (u64 i = ThreadX(); i < bytes / 16; i += BlockSize()) ((Vector*)to)[i] = ((const Vector*)from)[i];
  } else if ((mix & 3) == 0) {
    for (u64 i = ThreadX(); i < bytes / 4; i += BlockSize()) ((u32*)to)[i] = ((const u32*)from)[i];
  } else {
    for (u64 i = ThreadX(); i < bytes; i += BlockSize()) to[i] = from[i];
  }
}

// Pieces of equal length between two tables of addresses: gather, scatter, and both at once.
extern "C" __global__ void stator_copy_table(const u64* targets, const u64* sources, u64 bytes, u32 pieces) {
  for (u32 piece = BlockX(); piece < pieces; piece += GridSize()) CopyPiece((u8*)targets[piece], (const u8*)sources[piece], bytes);
}

// Runs of a regrouping plan (source offset, target offset, bytes, source stride, target stride, count as six u64 each): NHD to HND and back, block to universal,
// head split and concat for another TP, block split and merge. `firsts[r]` is the number of pieces before run r, `firsts[runs]` their total.
extern "C" __global__ void stator_regroup(u8* target, const u8* source, const u64* runs, const u64* firsts, u32 count) {
  const u64 total = firsts[count];
  for (u64 piece = BlockX(); piece < total; piece += GridSize()) {
    u32 low = 0, high = count - 1;
    while (low < high) {
      const u32 middle = (low + high + 1) >> 1;
      if (firsts[middle] <= piece) low = middle;
      else high = middle - 1;
    }
    const u64* run = runs + 6ull * low;
    const u64 k = piece - firsts[low];
    CopyPiece(target + run[1] + k * run[4], source + run[0] + k * run[3], run[2]);
  }
}

// FP8 E4M3 (no infinities, NaN is 0x7f) to BF16 with one scale per `group` values.
static __device__ inline float FromE4m3(u8 value) {
  const u32 sign = (u32)(value & 0x80) << 24;
  const u32 exponent = (value >> 3) & 15;
  const u32 mantissa = value & 7;
  union {
    u32 bits;
    float number;
  } out;
  if (exponent == 15 && mantissa == 7) out.bits = sign | 0x7fc00000u;
  else if (exponent == 0) {
    out.number = (float)mantissa * 0.001953125f;
    out.bits |= sign;
  } else out.bits = sign | ((exponent + 120) << 23) | (mantissa << 20);
  return out.number;
}

extern "C" __global__ void stator_fp8_to_bf16(u16* target, const u8* source, const float* scales, u64 values, u64 group) {
  for (u64 i = (u64)BlockX() * BlockSize() + ThreadX(); i < values; i += (u64)GridSize() * BlockSize()) {
    union {
      float number;
      u32 bits;
    } value;
    value.number = FromE4m3(source[i]) * scales[i / group];
    // Round to nearest even, as the host oracle does.
    const u32 rounded = (value.bits & 0x7fffffffu) > 0x7f800000u ? value.bits | 0x00400000u : value.bits + 0x7fffu + ((value.bits >> 16) & 1);
    target[i] = (u16)(rounded >> 16);
  }
}

// Checksum per piece: sum of word * odd index weight, modulo 2^32, in any order of threads. One block per piece; `sums` start at zero.
extern "C" __global__ void stator_checksum(u32* sums, const u64* pieces, u64 words, u32 count) {
  for (u32 piece = BlockX(); piece < count; piece += GridSize()) {
    const u32* data = (const u32*)pieces[piece];
    u32 sum = 0;
    for (u64 i = ThreadX(); i < words; i += BlockSize()) sum += data[i] * (2u * (u32)i + 1u);
#if defined(__clang__)
    __atomic_fetch_add(sums + piece, sum, __ATOMIC_RELAXED);
#else
    atomicAdd(sums + piece, sum);
#endif
  }
}
