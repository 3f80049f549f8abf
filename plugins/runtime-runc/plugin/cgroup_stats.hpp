// Usage of a cgroup, read from the kernel's files: no process, no descriptor kept open.
#pragma once

#include <string>
#include <string_view>

#include "berth/runtime.h"
#include "cgroup_layout.hpp"

namespace berth::runc {

// The paths of one cgroup's files, worked out once. Immutable; any thread.
class CgroupStats {
 public:
  CgroupStats() = default;
  CgroupStats(const CgroupLayout& layout, const std::string& path);

  // Fills everything but the id and the network. False when the cgroup does not exist. A file that
  // a kernel or a controller does not offer leaves its members 0 and its BERTH_STATS_ bit unset;
  // no limit is 0 with BERTH_STATS_MEMORY_LIMIT unset.
  bool read(berth_stats& stats) const;

 private:
  void readV1(berth_stats& stats) const;
  void readV2(berth_stats& stats) const;

  bool unified_ = false;
  std::string cpu_, cpuacct_, memory_, pids_, blkio_, pressure_;
};

// Adds the usage of `part` to `sum`, limits and pressure aside.
void addStats(berth_stats& sum, const berth_stats& part);

}  // namespace berth::runc
