// A batch as it crosses from JS: paired strided runs over two tables of address ranges.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace transfer {

struct Range {
  uintptr_t base;
  uint64_t bytes;
};

struct Runs {
  size_t count = 0;
  const uint32_t* local_index;
  const double* local_offset;
  const double* local_stride;
  const uint32_t* remote_index;
  const double* remote_offset;
  const double* remote_stride;
  const double* piece_bytes;
  const uint32_t* pieces;
};

// Views into the typed arrays of the call: valid until it returns.
inline Runs ReadRuns(const Napi::Object& batch) {
  Runs runs;
  runs.count = batch.Get("runs").As<Napi::Number>().Uint32Value();
  auto u32 = [&](const char* name) -> const uint32_t* {
    auto array = batch.Get(name).As<Napi::Uint32Array>();
    if (array.ElementLength() < runs.count) throw Napi::RangeError::New(batch.Env(), std::string(name) + " is shorter than runs");
    return array.Data();
  };
  auto f64 = [&](const char* name) -> const double* {
    auto array = batch.Get(name).As<Napi::Float64Array>();
    if (array.ElementLength() < runs.count) throw Napi::RangeError::New(batch.Env(), std::string(name) + " is shorter than runs");
    return array.Data();
  };
  runs.local_index = u32("localRegion");
  runs.remote_index = u32("remoteRegion");
  runs.pieces = u32("pieces");
  runs.local_offset = f64("localOffset");
  runs.local_stride = f64("localStride");
  runs.remote_offset = f64("remoteOffset");
  runs.remote_stride = f64("remoteStride");
  runs.piece_bytes = f64("pieceBytes");
  return runs;
}

// A table of memory of this process: typed arrays.
inline std::vector<Range> ReadViews(const Napi::Array& views) {
  std::vector<Range> table;
  table.reserve(views.Length());
  for (uint32_t i = 0; i < views.Length(); i += 1) {
    auto view = views.Get(i).As<Napi::Uint8Array>();
    table.push_back({reinterpret_cast<uintptr_t>(view.Data()), view.ByteLength()});
  }
  return table;
}

// A table of memory of another process: [address, bytes] pairs as doubles are exact below 2^53.
inline std::vector<Range> ReadAddresses(const Napi::BigUint64Array& pairs) {
  std::vector<Range> table;
  const uint64_t* data = pairs.Data();
  for (size_t i = 0; i + 1 < pairs.ElementLength(); i += 2) table.push_back({static_cast<uintptr_t>(data[i]), data[i + 1]});
  return table;
}

inline bool Inside(double offset, double stride, double bytes, uint32_t pieces, uint64_t limit) {
  if (!(offset >= 0) || !(bytes >= 1) || !(stride >= 0) || pieces < 1) return false;
  const double end = offset + stride * (pieces - 1) + bytes;
  return end <= static_cast<double>(limit);
}

// Every run inside both tables, or the index of the first that is not.
inline int64_t FirstOutside(const Runs& runs, const std::vector<Range>& local, const std::vector<Range>& remote) {
  for (size_t i = 0; i < runs.count; i += 1) {
    if (runs.local_index[i] >= local.size() || runs.remote_index[i] >= remote.size()) return static_cast<int64_t>(i);
    const double bytes = runs.piece_bytes[i];
    if (!Inside(runs.local_offset[i], runs.local_stride[i], bytes, runs.pieces[i], local[runs.local_index[i]].bytes)) return static_cast<int64_t>(i);
    if (!Inside(runs.remote_offset[i], runs.remote_stride[i], bytes, runs.pieces[i], remote[runs.remote_index[i]].bytes)) return static_cast<int64_t>(i);
  }
  return -1;
}

[[noreturn]] inline void Throw(Napi::Env env, const char* code, const std::string& message) {
  auto error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code));
  throw error;
}

void InitMapping(Napi::Env env, Napi::Object exports);
void InitFdServer(Napi::Env env, Napi::Object exports);
void InitCopy(Napi::Env env, Napi::Object exports);
void InitCma(Napi::Env env, Napi::Object exports);
void InitUcx(Napi::Env env, Napi::Object exports);
void InitWire(Napi::Env env, Napi::Object exports);
void InitFile(Napi::Env env, Napi::Object exports);

}  // namespace transfer
