// OCI runtime specifications as shims want them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/runtime.hpp"
#include "options.hpp"
#include "records.hpp"

namespace berth::kata {

// Of the container that a pod's sandbox is: a program that waits, in a root filesystem that has
// nothing else. Its annotations tell the shim what it is, and how large a machine is to be.
// INVALID_ARGUMENT for resources that are none.
absl::StatusOr<std::string> sandboxSpec(const PodSpec& pod, const PodRecord& record,
                                        const Options& options);

// FAILED_PRECONDITION, with the numbers, when what the pod's containers may use together and its
// overhead are more than the host's memory. A pod without a limit has the shim's own size.
// Resources that are none are left to sandboxSpec.
absl::Status checkSize(const PodSpec& pod, uint64_t hostBytes);

// The host's specification of a container with the shim's annotations, and with `root` as its root
// filesystem. In a virtual machine, namespaces of this host have no paths, and that of processes
// must not be the host's: FAILED_PRECONDITION.
absl::StatusOr<std::string> containerSpec(std::string_view spec, const PodRecord& record,
                                          std::string_view name, const std::string& root);

// The cgroup of a container in the pod's parent, as linux.cgroupsPath.
std::string cgroupsPathOf(const PodRecord& record, std::string_view container);

}  // namespace berth::kata
