// What only looking at a cgroup's processes one by one tells.
#pragma once

#include <string>
#include <sys/types.h>

#include "berth/runtime.h"
#include "cgroup_layout.hpp"

namespace berth::runc {

// Where they are looked at: for tests a folder laid out like procfs.
inline constexpr const char* kProcfs = "/proc";

// Fills those of the groups DESCRIPTORS, SOCKETS and TASKS that are `wanted`, for the processes of
// the cgroup and of those below it; `first` is the container's first process (0: not known). A
// container with more threads or descriptors than it is reasonable to look at one by one gets its
// numbers without the group TASKS or SOCKETS. Any thread.
void readTasks(const CgroupLayout& layout, const std::string& path, pid_t first, uint32_t wanted,
               berth_stats& stats, const std::string& procfs = kProcfs);

}  // namespace berth::runc
