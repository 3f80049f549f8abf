// Where in the cgroup tree pods and containers live.
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "engine/spec/types.hpp"

namespace berth::spec {

// The pod's cgroup, as the kubelet gives it in cgroup_parent: a path for cgroupfs, a slice for
// systemd, where the last part of a path of slices is what counts. Empty means /berth and
// berth.slice. INVALID_ARGUMENT when it is of the other driver's kind, for the kubelet and this
// daemon then disagree about the driver. Any thread, does not block.
absl::StatusOr<std::string> podCgroupParent(const std::string& cgroupParent, CgroupDriver driver);

// linux.cgroupsPath: "<parent>/<id>", or "<slice>:berth:<id>" for systemd.
absl::StatusOr<std::string> cgroupsPath(const std::string& cgroupParent, CgroupDriver driver,
                                        const std::string& containerId);

}  // namespace berth::spec
