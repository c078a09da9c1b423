// Memory that was mapped here: it stays while anybody holds it, whatever JS let go of meanwhile.
#pragma once
#include <sys/mman.h>

#include <memory>
#include <vector>

#include "runs.h"

namespace transfer {

struct Mapping {
  Mapping(void* at, size_t length) : address(at), bytes(length) {}
  ~Mapping() { munmap(address, bytes); }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  void* const address;
  const size_t bytes;
};

using Held = std::vector<std::shared_ptr<const Mapping>>;

// The mapping that an address lies in; nothing for memory of the runtime's own.
std::shared_ptr<const Mapping> MappingOf(uintptr_t address);

// The mappings of a batch without keeping them: memory that JS unmaps goes at once, but not from under a thread that holds it.
class Pins {
 public:
  void Add(uintptr_t address) {
    if (const auto mapping = MappingOf(address); mapping != nullptr) mappings_.push_back(mapping);
  }
  void Add(const std::vector<Range>& ranges) {
    for (const Range& range : ranges) Add(range.base);
  }
  // False where one was unmapped.
  bool IsMapped() const {
    for (const auto& mapping : mappings_)
      if (mapping.expired()) return false;
    return true;
  }
  // Everything, kept until `held` goes; false where one was unmapped.
  bool Hold(Held& held) const {
    for (const auto& mapping : mappings_) {
      held.push_back(mapping.lock());
      if (held.back() == nullptr) return false;
    }
    return true;
  }

 private:
  std::vector<std::weak_ptr<const Mapping>> mappings_;
};

}  // namespace transfer
