// Ending what runs in a cgroup, and removing the cgroup, without a monitor or a runtime binary.
#pragma once

#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cgroup_layout.hpp"
#include "monitor_client.hpp"

namespace berth::runc {

// Kills (SIGKILL) every process of cgroup `path` and of those below it in any hierarchy, and waits
// for their ends; frozen ones are thawed first. A cgroup that does not exist is success.
// DEADLINE_EXCEEDED or CANCELLED with the process that would not end; what cannot be looked at is
// an error. Blocks; any thread.
absl::Status killCgroup(const CgroupLayout& layout, const std::string& path,
                        const CallLimits& limits);

// Lets the processes of a frozen cgroup run on. Not frozen and not existing are success.
absl::Status thawCgroup(const CgroupLayout& layout, const std::string& path);
// Whether it is frozen by its own setting.
bool isFrozen(const CgroupLayout& layout, const std::string& path);

// The processes of cgroup `path` and of those below it in any hierarchy, sorted.
absl::StatusOr<std::vector<pid_t>> processesOfCgroup(const CgroupLayout& layout,
                                                     const std::string& path);

// Removes cgroup `path` and those below it from every hierarchy. Its processes must have ended; the
// kernel may take some milliseconds to notice, which is waited for. Missing is success.
absl::Status removeCgroup(const CgroupLayout& layout, const std::string& path);

// Those of the cgroup's own directories that do not exist now, from `path` up towards the roots.
std::vector<std::string> missingDirectories(const CgroupLayout& layout, const std::string& path);

}  // namespace berth::runc
