// The cgroups above containers that were not there before a pod needed them: the runtime binary
// makes them, and nobody else would remove them.
#pragma once

#include <mutex>
#include <set>
#include <string>

#include <absl/status/status.h>

#include "cgroup_layout.hpp"

namespace berth::runc {

// Kept in a file, so that they are known after a restart. Thread-safe.
class OwnedCgroups {
 public:
  OwnedCgroups(const CgroupLayout& layout, std::string file);

  // To be called before the first container of a pod is made under cgroup `path`.
  absl::Status claim(const std::string& path);
  // Removes those at and above `path` that are ours and that nobody uses any more.
  absl::Status release(const std::string& path);

 private:
  absl::Status saveLocked();

  const CgroupLayout& layout_;
  const std::string file_;
  std::mutex mutex_;
  std::set<std::string> directories_;
};

}  // namespace berth::runc
