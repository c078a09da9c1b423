// FP8 E4M3 (OCP "fn": no infinities, NaN is 0x7f, largest 448) and BF16, with one FP32 scale for every `group` values: value = fp8 x scale.
#include "device.h"

union Float {
  u32 bits;
  float number;
};

static __device__ inline float FromE4m3(u8 value) {
  const u32 sign = (u32)(value & 0x80) << 24;
  const u32 exponent = (value >> 3) & 15;
  const u32 mantissa = value & 7;
  Float out;
  if (exponent == 15 && mantissa == 7) out.bits = sign | 0x7fc00000u;
  else if (exponent == 0) {
    out.number = (float)mantissa * 0.001953125f;
    out.bits |= sign;
  } else out.bits = sign | ((exponent + 120) << 23) | (mantissa << 20);
  return out.number;
}

// Nearest, ties to even; what is beyond the largest, infinities too, becomes the largest. NaN loses its sign, which devices do not keep either.
static __device__ inline u8 ToE4m3(float value) {
  Float in;
  in.number = value;
  const u32 sign = (in.bits >> 24) & 0x80;
  in.bits &= 0x7fffffffu;
  if (in.bits > 0x7f800000u) return 0x7f;
  if (in.bits >= 0x43e00000u) return (u8)(sign | 0x7e);
  if (in.bits < 0x3c800000u) {
    // Below 2^-6: steps of 2^-9. Adding 2^23 rounds to whole steps.
    Float steps;
    steps.number = in.number * 512.0f + 8388608.0f;
    return (u8)(sign | (steps.bits & 15));
  }
  const u32 rounded = in.bits + 0x7ffffu + ((in.bits >> 20) & 1);
  return (u8)(sign | (((rounded >> 20) - (120u << 3)) & 0x7f));
}

extern "C" __global__ void stator_fp8_to_bf16(u16* target, const u8* source, const float* scales, u64 values, u64 group) {
  for (u64 i = ThreadOfLaunch(); i < values; i += ThreadsOfLaunch()) {
    Float value;
    value.number = FromE4m3(source[i]) * scales[i / group];
    const bool is_nan = (value.bits & 0x7fffffffu) > 0x7f800000u;
    target[i] = (u16)((is_nan ? value.bits | 0x00400000u : value.bits + 0x7fffu + ((value.bits >> 16) & 1)) >> 16);
  }
}

extern "C" __global__ void stator_bf16_to_fp8(u8* target, const u16* source, const float* scales, u64 values, u64 group) {
  for (u64 i = ThreadOfLaunch(); i < values; i += ThreadsOfLaunch()) {
    Float value;
    value.bits = (u32)source[i] << 16;
    target[i] = ToE4m3(value.number / scales[i / group]);
  }
}
