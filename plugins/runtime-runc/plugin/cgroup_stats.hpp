// Usage of a cgroup, read from the kernel's files: costs no process.
#pragma once

#include <mutex>
#include <string>

#include "berth/runtime.h"
#include "cgroup_files.hpp"
#include "cgroup_layout.hpp"

namespace berth::runc {

// The files of one cgroup. Thread-safe.
class CgroupStats {
 public:
  CgroupStats(const CgroupLayout& layout, const std::string& path);

  // Fills everything but the id and the network. False when the cgroup does not exist. A file that
  // a kernel or a controller does not offer leaves its members 0 and its BERTH_STATS_ bit unset;
  // no limit is 0 with BERTH_STATS_MEMORY_LIMIT unset.
  bool read(berth_stats& stats);
  // Keeps no file open from here on: for a cgroup whose processes have ended.
  void release();

 private:
  void readV1(berth_stats& stats);
  void readV2(berth_stats& stats);

  const bool unified_;
  std::mutex mutex_;
  CgroupFiles cpu_, cpuacct_, memory_, pids_, blkio_;  // v1
  CgroupFiles all_;                                    // the unified hierarchy
};

// Adds the usage of `part` to `sum`, limits and pressure aside.
void addStats(berth_stats& sum, const berth_stats& part);

}  // namespace berth::runc
