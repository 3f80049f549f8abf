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

  // Fills the groups (BERTH_STATS_) that are `wanted`, and more where that costs nothing; but not
  // the id, the network, nor what is on request. False when there is nothing of them, as when the
  // cgroup does not exist. A file that a kernel or a controller does not offer leaves its members 0
  // and its bit unset; no limit is 0 with the bit unset.
  bool read(uint32_t wanted, berth_stats& stats);
  // Keeps no file open from here on: for a cgroup whose processes have ended.
  void release();

 private:
  void readV1(uint32_t wanted, berth_stats& stats);
  void readV2(uint32_t wanted, berth_stats& stats);

  const bool unified_;
  std::mutex mutex_;
  CgroupFiles cpu_, cpuacct_, memory_, pids_, blkio_;  // v1
  CgroupFiles all_;                                    // the unified hierarchy
};

}  // namespace berth::runc
