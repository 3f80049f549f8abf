// Which capabilities a container's processes may have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/types.hpp"

namespace berth::spec {

struct CapabilitySets {
  uint64_t granted = 0;  // bounding, permitted and effective
  uint64_t ambient = 0;  // part of granted; also inheritable
};

enum class Privilege { kNormal, kPrivileged };

// `defaults`, or all with "ALL" added, or none with "ALL" dropped; then what is added one by one,
// then what is dropped one by one. Privileged containers have all. "All" is `available`: what can
// be given here. A capability asked for by name that is not available is left out with a warning;
// a name no kernel knows is INVALID_ARGUMENT. Any thread, does not block.
absl::StatusOr<CapabilitySets> resolveCapabilities(const runtime::v1::Capability& request,
                                                   const std::vector<std::string>& defaults,
                                                   uint64_t available, Privilege privilege,
                                                   Warnings& warnings);

// process.capabilities of the OCI runtime specification. Inheritable is no more than ambient: a
// wider set would survive into programs run by other users.
boost::json::object capabilitiesJson(const CapabilitySets& sets);

}  // namespace berth::spec
