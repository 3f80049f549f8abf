// Where in the cgroup hierarchies a pod's or a container's cgroup lies, as cAdvisor names it.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "engine/spec/types.hpp"

namespace berth::spec {

// The path below the hierarchies' roots: "/kubepods/pod1", "/a.slice/a-b.slice". `cgroupParent` is
// what the kubelet gave. INVALID_ARGUMENT as from podCgroupParent(). Any thread, does not block.
absl::StatusOr<std::string> podCgroup(const std::string& cgroupParent, CgroupDriver driver);

// Likewise of a container in it, for the cgroupsPath() that it has.
absl::StatusOr<std::string> containerCgroup(const std::string& cgroupParent, CgroupDriver driver,
                                            const std::string& containerId);

}  // namespace berth::spec
