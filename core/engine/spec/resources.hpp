// How much a container may use.
#pragma once

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/types.hpp"

namespace berth::spec {

// linux.resources of the OCI runtime specification, with what is set alone: for a new container,
// and for a change to a running one. INVALID_ARGUMENT for values that the kernel cannot take; what
// the host cannot enforce is left out with a warning. Any thread, does not block.
absl::StatusOr<boost::json::object> resourcesJson(
    const runtime::v1::LinuxContainerResources& resources, const common::HostFacts& host,
    Warnings& warnings);

// Swap is counted together with memory: INVALID_ARGUMENT for a limit of it alone.
absl::Status checkSwap(const runtime::v1::LinuxContainerResources& resources);

// The same for a change to a container that has `current`, as berth_runtime.container_update takes
// it: beside the members of linux.resources, "oomScoreAdj" when it is to be another. What this host
// cannot enforce is FAILED_PRECONDITION, for nothing would have changed.
absl::StatusOr<boost::json::object> resourceChange(
    const runtime::v1::LinuxContainerResources& current,
    const runtime::v1::LinuxContainerResources& update, const common::HostFacts& host,
    Warnings& warnings);

// What the resources are after a change: members of `update` that are set replace those of
// `current`, as the runtime does it. For container status.
runtime::v1::LinuxContainerResources mergedResources(
    const runtime::v1::LinuxContainerResources& current,
    const runtime::v1::LinuxContainerResources& update);

// process.oomScoreAdj. Without CAP_SYS_RESOURCE no less than this daemon's own, with a warning.
absl::StatusOr<int> oomScoreAdj(int64_t requested, const common::HostFacts& host,
                                Warnings& warnings);

// process.rlimits: no more than this daemon may give, with a warning each. INVALID_ARGUMENT for a
// limit that Linux does not have, or a soft one above the hard one.
absl::StatusOr<boost::json::array> rlimitsJson(const std::vector<Ulimit>& limits,
                                               const common::HostFacts& host, Warnings& warnings);

}  // namespace berth::spec
