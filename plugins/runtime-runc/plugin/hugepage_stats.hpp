// The huge pages of a cgroup's processes.
#pragma once

#include <string>
#include <vector>

#include "berth/runtime.h"
#include "cgroup_layout.hpp"

namespace berth::runc {

struct HugepageStats {
  std::string pageSize;             // "2MB"
  berth_hugepage_stats counters{};  // its page_size is not set: take the one above
};

// The sizes this kernel has, smallest first, as the names of the control files have them.
std::vector<std::string> hugepageSizes();

// One for each of `sizes` that the cgroup accounts for; none when it or its controller does not
// exist. Opens the files anew: for calls that are far apart. Any thread.
std::vector<HugepageStats> readHugepages(const CgroupLayout& layout, const std::string& path,
                                         const std::vector<std::string>& sizes);

}  // namespace berth::runc
