// What a tree holds, and how much disk it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <sys/stat.h>

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

// One thing in a tree; borrowed while it is shown.
struct FoundEntry {
  const std::string& path;  // from the root; "" is the root itself
  int directory;            // open, holds it; of the root itself, the root
  const char* name;         // in there; of the root itself "."
  const struct stat& info;
};
using EntryVisitor = std::function<absl::Status(const FoundEntry& entry)>;

// The same walk, which shows each entry in no order, the root first. What the visitor returns ends
// it.
absl::StatusOr<DiskUsage> walkTree(int directory, const EntryVisitor& visit,
                                   const std::function<bool()>& cancelled = {});

// Extended attributes that the host sets of its own accord, on a file system with labels or
// signatures; no part of a tree's content.
bool isOfTheHost(std::string_view xattr);

}  // namespace berth::untar
