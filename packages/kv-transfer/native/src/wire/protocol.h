// Frames of the native data connections: 16 bytes of header, then `bytes` of payload. Little-endian, as every machine this runs on.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../runs.h"

namespace transfer::wire {

enum class Type : uint8_t { kRead = 1, kWrite = 2, kData = 3, kEnd = 4, kCancel = 5 };

// Numbers of the package's error codes on the wire: their place in its list, from 1.
enum class Status : uint8_t { kOk = 0, kOutOfBounds = 2, kRegionGone = 5, kStaleEpoch = 6, kCancelled = 9, kFailed = 13, kLimit = 19 };

constexpr uint16_t kMark = 0x4e53;
constexpr uint64_t kBodyLimit = 64u << 20;
// Data is cut to this size so that other frames pass between, and a cancel is heeded.
constexpr uint64_t kChunk = 1u << 20;

struct Header {
  Type type;
  Status status;
  uint16_t mark;
  uint32_t request;
  uint64_t bytes;
};
static_assert(sizeof(Header) == 16, "the header is what is sent");

// A range of the target's memory as its metadata names it: a part of a region, with the region's key.
struct RemotePart {
  uint32_t region;
  uint32_t segment;
  uint64_t key;
};

struct Check {
  uint32_t region;
  uint32_t block;
  uint64_t expected;
};

inline std::string Frame(Type type, Status status, uint32_t request, const std::string& body = "") {
  const Header header{type, status, kMark, request, body.size()};
  std::string frame(reinterpret_cast<const char*>(&header), sizeof(header));
  return frame + body;
}

// What the target needs of a batch: parts with keys, runs of its side, epochs to hold.
inline std::string EncodeRequest(const Runs& runs, const std::vector<RemotePart>& parts, const std::vector<Check>& checks) {
  std::string body;
  body.reserve(12 + parts.size() * sizeof(RemotePart) + checks.size() * sizeof(Check) + runs.count * 32);
  auto put = [&body](const void* data, size_t bytes) { body.append(static_cast<const char*>(data), bytes); };
  auto count = [&put](size_t value) {
    const uint32_t narrow = static_cast<uint32_t>(value);
    put(&narrow, 4);
  };
  count(parts.size());
  count(checks.size());
  count(runs.count);
  put(parts.data(), parts.size() * sizeof(RemotePart));
  put(checks.data(), checks.size() * sizeof(Check));
  put(runs.remote_index, runs.count * 4);
  put(runs.pieces, runs.count * 4);
  put(runs.remote_offset, runs.count * 8);
  put(runs.remote_stride, runs.count * 8);
  put(runs.piece_bytes, runs.count * 8);
  return body;
}

// A request as the target sees it: `runs.local_*` is its side. The arrays lie in `body`.
struct Request {
  std::vector<RemotePart> parts;
  std::vector<Check> checks;
  std::vector<uint32_t> indexes;
  std::vector<double> numbers;
  Runs runs;
};

// False where the body is not exactly what its counts say.
inline bool DecodeRequest(const std::vector<char>& body, Request& request) {
  uint32_t counts[3];
  if (body.size() < sizeof(counts)) return false;
  memcpy(counts, body.data(), sizeof(counts));
  const uint64_t parts = counts[0], checks = counts[1], runs = counts[2];
  if (body.size() != sizeof(counts) + parts * sizeof(RemotePart) + checks * sizeof(Check) + runs * 32 || runs == 0) return false;
  const char* at = body.data() + sizeof(counts);
  auto take = [&at](auto& vector, size_t items) {
    vector.resize(items);
    const size_t bytes = items * sizeof(vector[0]);
    if (bytes > 0) memcpy(vector.data(), at, bytes);
    at += bytes;
  };
  take(request.parts, parts);
  take(request.checks, checks);
  take(request.indexes, 2 * runs);
  take(request.numbers, 3 * runs);
  Runs& out = request.runs;
  out.count = runs;
  out.local_index = out.remote_index = request.indexes.data();
  out.pieces = request.indexes.data() + runs;
  out.local_offset = out.remote_offset = request.numbers.data();
  out.local_stride = out.remote_stride = request.numbers.data() + runs;
  out.piece_bytes = request.numbers.data() + 2 * runs;
  return true;
}

}  // namespace transfer::wire
