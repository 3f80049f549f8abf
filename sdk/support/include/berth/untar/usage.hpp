// How much disk a tree takes.
#pragma once

#include <cstdint>
#include <functional>

#include <absl/status/statusor.h>

namespace berth::untar {

struct DiskUsage {
  uint64_t bytes = 0;   // allocated, as du(1) counts
  uint64_t inodes = 0;  // files with several links count once
};

// Walks the tree below an open directory, that one included, without following links or crossing
// into other file systems. Entries that vanish meanwhile are left out. `cancelled` is asked now and
// then: CANCELLED when it says so. Blocks; any thread.
absl::StatusOr<DiskUsage> measureTree(int directory, const std::function<bool()>& cancelled = {});

}  // namespace berth::untar
