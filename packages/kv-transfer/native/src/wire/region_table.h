// The regions that peers may touch, as the progress threads see them.
#pragma once
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "../mapping.h"
#include "protocol.h"

namespace transfer::wire {

struct Region {
  uint64_t key;
  std::vector<Range> segments;
  // Word 0 is 1 while the region lives, then the epochs.
  const uint64_t* status;
  uint64_t words;
  // The mappings of all this, where it is not the runtime's own memory: threads are in it.
  Held held;
  // Set under the table's lock: from then on nothing of it may be touched.
  bool is_removed = false;
};

class RegionTable {
 public:
  void Add(uint32_t id, std::shared_ptr<Region> region) {
    std::unique_lock<std::shared_mutex> lock(mutex_);
    regions_[id] = std::move(region);
  }
  // Returns when no thread is inside the region's memory any more.
  void Remove(uint32_t id) {
    std::unique_lock<std::shared_mutex> lock(mutex_);
    const auto found = regions_.find(id);
    if (found == regions_.end()) return;
    found->second->is_removed = true;
    regions_.erase(found);
  }
  std::shared_ptr<Region> Find(uint32_t id) const {
    const auto found = regions_.find(id);
    return found == regions_.end() ? nullptr : found->second;
  }
  // Held while regions are looked up or their memory is touched.
  std::shared_lock<std::shared_mutex> Use() const { return std::shared_lock<std::shared_mutex>(mutex_); }

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint32_t, std::shared_ptr<Region>> regions_;
};

struct Verdict {
  Status status = Status::kOk;
  std::string message;
};

// A peer's request, admitted: every run is inside a live region whose key the peer knows.
class Admitted {
 public:
  // Call under the table's `Use`.
  Verdict Admit(const RegionTable& table) {
    for (const RemotePart& part : request.parts) {
      const auto region = table.Find(part.region);
      if (region == nullptr || region->key != part.key || part.segment >= region->segments.size()) return Gone(part.region);
      regions_[part.region] = region;
      ranges.push_back(region->segments[part.segment]);
    }
    const Runs& runs = request.runs;
    for (size_t i = 0; i < runs.count; i += 1)
      if (runs.local_index[i] >= ranges.size() || !Inside(runs.local_offset[i], runs.local_stride[i], runs.piece_bytes[i], runs.pieces[i], ranges[runs.local_index[i]].bytes))
        return {Status::kOutOfBounds, "Descriptor " + std::to_string(i) + " of the peer's request is outside its region."};
    return Recheck();
  }
  // Whether what was true at admission still is. Call under the table's `Use`.
  Verdict Recheck() const {
    for (const auto& [id, region] : regions_)
      if (region->is_removed || __atomic_load_n(region->status, __ATOMIC_SEQ_CST) != 1) return Gone(id);
    for (const Check& check : request.checks) {
      const auto found = regions_.find(check.region);
      if (found == regions_.end()) return Gone(check.region);
      const Region& region = *found->second;
      if (uint64_t{check.block} + 1 >= region.words) return {Status::kStaleEpoch, "Region " + std::to_string(check.region) + " has no epoch for block " + std::to_string(check.block) + "."};
      if (__atomic_load_n(region.status + 1 + check.block, __ATOMIC_SEQ_CST) != check.expected)
        return {Status::kStaleEpoch, "Block " + std::to_string(check.block) + " of region " + std::to_string(check.region) + " was reused since its epoch was published: fetch new metadata."};
    }
    return {};
  }

  Request request;
  std::vector<Range> ranges;

 private:
  static Verdict Gone(uint32_t id) { return {Status::kRegionGone, "There is no region " + std::to_string(id) + " with that key (deregistered, or its lease ended)."}; }
  std::unordered_map<uint32_t, std::shared_ptr<Region>> regions_;
};

}  // namespace transfer::wire
