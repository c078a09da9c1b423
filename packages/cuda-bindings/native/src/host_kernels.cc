// What the KV kernels must compute, on the host, one value at a time and without regard to speed: with reference-kernels.ts the oracle of the device
// kernels. Written apart from those: FP8 is found in a table of all its values, not rounded by bits.
#include <cmath>
#include <cstring>
#include <vector>

#include "handle.h"

namespace gpu {
namespace {

void Need(Napi::Env env, bool is_inside, const char* what) {
  if (!is_inside) Throw(env, "BOUNDS", std::string(what) + " leaves its memory");
}

// hostRegroup(target, source, runs): six numbers each, as for `stator_regroup`.
Napi::Value HostRegroup(const Napi::CallbackInfo& info) {
  auto target = info[0].As<Napi::Uint8Array>();
  auto source = info[1].As<Napi::Uint8Array>();
  auto runs = info[2].As<Napi::BigUint64Array>();
  for (size_t r = 0; r + 6 <= runs.ElementLength(); r += 6) {
    const uint64_t from = runs[r], to = runs[r + 1], bytes = runs[r + 2], from_stride = runs[r + 3], to_stride = runs[r + 4], count = runs[r + 5];
    for (uint64_t k = 0; k < count; k += 1)
      for (uint64_t byte = 0; byte < bytes; byte += 1) {
        const uint64_t at = from + k * from_stride + byte, put = to + k * to_stride + byte;
        Need(info.Env(), at < source.ElementLength() && put < target.ElementLength(), "a run");
        target[put] = source[at];
      }
  }
  return info.Env().Undefined();
}

// hostPermute(target, source, shape): thirteen numbers, as for `stator_permute`.
Napi::Value HostPermute(const Napi::CallbackInfo& info) {
  auto target = info[0].As<Napi::Uint8Array>();
  auto source = info[1].As<Napi::Uint8Array>();
  auto shape = info[2].As<Napi::BigUint64Array>();
  Need(info.Env(), shape.ElementLength() == 13, "a shape");
  uint64_t index[4];
  const uint64_t bytes = shape[12];
  for (index[0] = 0; index[0] < shape[0]; index[0] += 1)
    for (index[1] = 0; index[1] < shape[1]; index[1] += 1)
      for (index[2] = 0; index[2] < shape[2]; index[2] += 1)
        for (index[3] = 0; index[3] < shape[3]; index[3] += 1) {
          uint64_t at = 0, put = 0;
          for (size_t axis = 0; axis < 4; axis += 1) {
            at += index[axis] * shape[4 + axis];
            put += index[axis] * shape[8 + axis];
          }
          Need(info.Env(), at + bytes <= source.ElementLength() && put + bytes <= target.ElementLength(), "a vector");
          memcpy(target.Data() + put, source.Data() + at, bytes);
        }
  return info.Env().Undefined();
}

// The 127 magnitudes of E4M3, ascending: the place is the code.
const std::vector<double>& Magnitudes() {
  static const std::vector<double> all = [] {
    std::vector<double> values;
    for (int code = 0; code < 127; code += 1) {
      const int exponent = code >> 3, mantissa = code & 7;
      values.push_back(exponent == 0 ? std::ldexp(mantissa, -9) : std::ldexp(8 + mantissa, exponent - 10));
    }
    return values;
  }();
  return all;
}

uint16_t Bf16Of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  if (std::isnan(value)) return static_cast<uint16_t>((bits | 0x00400000u) >> 16);
  // Between two neighbours the nearer one, or the even one.
  const uint32_t low = bits & 0xffff0000u, rest = bits & 0xffffu;
  const bool is_up = rest > 0x8000u || (rest == 0x8000u && (low & 0x10000u) != 0);
  return static_cast<uint16_t>((is_up ? low + 0x10000u : low) >> 16);
}

// hostFp8ToBf16(source, scales, group) -> Uint16Array
Napi::Value HostFp8ToBf16(const Napi::CallbackInfo& info) {
  auto source = info[0].As<Napi::Uint8Array>();
  auto scales = info[1].As<Napi::Float32Array>();
  const size_t group = info[2].As<Napi::Number>().Uint32Value();
  Need(info.Env(), group > 0 && (source.ElementLength() + group - 1) / group <= scales.ElementLength(), "a scale");
  auto out = Napi::Uint16Array::New(info.Env(), source.ElementLength());
  for (size_t i = 0; i < source.ElementLength(); i += 1) {
    const uint8_t code = source[i];
    const float magnitude = (code & 0x7f) == 0x7f ? NAN : static_cast<float>(Magnitudes()[code & 0x7f]);
    out[i] = Bf16Of(std::copysign(magnitude, (code & 0x80) != 0 ? -1.0f : 1.0f) * scales[i / group]);
  }
  return out;
}

// hostBf16ToFp8(source, scales, group) -> Uint8Array
Napi::Value HostBf16ToFp8(const Napi::CallbackInfo& info) {
  auto source = info[0].As<Napi::Uint16Array>();
  auto scales = info[1].As<Napi::Float32Array>();
  const size_t group = info[2].As<Napi::Number>().Uint32Value();
  Need(info.Env(), group > 0 && (source.ElementLength() + group - 1) / group <= scales.ElementLength(), "a scale");
  auto out = Napi::Uint8Array::New(info.Env(), source.ElementLength());
  const auto& all = Magnitudes();
  for (size_t i = 0; i < source.ElementLength(); i += 1) {
    const uint32_t bits = uint32_t{source[i]} << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    value /= scales[i / group];
    if (std::isnan(value)) {
      out[i] = 0x7f;
      continue;
    }
    const double magnitude = std::fabs(static_cast<double>(value));
    size_t best = 126;
    for (size_t code = 0; code < 126; code += 1) {
      const double middle = (all[code] + all[code + 1]) / 2;
      if (magnitude < middle || (magnitude == middle && code % 2 == 0)) {
        best = code;
        break;
      }
    }
    out[i] = static_cast<uint8_t>(best | (std::signbit(value) ? 0x80 : 0));
  }
  return out;
}

// hostChecksum(words) -> number
Napi::Value HostChecksum(const Napi::CallbackInfo& info) {
  auto words = info[0].As<Napi::Uint32Array>();
  uint32_t sum = 0;
  for (size_t i = 0; i < words.ElementLength(); i += 1) sum += words[i] * static_cast<uint32_t>(2 * i + 1);
  return Napi::Number::New(info.Env(), sum);
}

}  // namespace

void DefineHostKernels(Napi::Env env, Napi::Object exports) {
  Define(env, exports, "hostRegroup", HostRegroup);
  Define(env, exports, "hostPermute", HostPermute);
  Define(env, exports, "hostFp8ToBf16", HostFp8ToBf16);
  Define(env, exports, "hostBf16ToFp8", HostBf16ToFp8);
  Define(env, exports, "hostChecksum", HostChecksum);
}

}  // namespace gpu
