// What a cgroup's processes read from and wrote to each disk.
#pragma once

#include <string>
#include <vector>

#include "berth/runtime.h"
#include "cgroup_layout.hpp"

namespace berth::runc {

struct DiskStats {
  std::string device;           // "/dev/sda"; empty when the kernel has no such disk any more
  berth_disk_stats counters{};  // its device is not set: take the one above
};

// In the order of their numbers; disks that were never used are left out. Empty when the cgroup or
// its controller does not exist. Opens the files anew: for calls that are far apart. Any thread.
std::vector<DiskStats> readDisks(const CgroupLayout& layout, const std::string& path);

}  // namespace berth::runc
