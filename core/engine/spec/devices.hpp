// Device nodes for a container.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/capabilities.hpp"
#include "engine/spec/types.hpp"

namespace berth::spec {

struct DevicePlan {
  boost::json::array devices;  // linux.devices
  boost::json::array rules;    // linux.resources.devices: all denied, then what is allowed
};

// The devices of the request: a node, a link to one, or a directory whose nodes are given one by
// one. Privileged containers may use every device, and have every node below `deviceDirectory` as
// PrivilegedDevices says. The runtime adds the specification's own default devices. Blocks on the
// file system; any thread. INVALID_ARGUMENT for what is no device, or permissions other than "r",
// "w" and "m".
absl::StatusOr<DevicePlan> planDevices(const runtime::v1::ContainerConfig& config,
                                       const Defaults& defaults, Privilege privilege,
                                       const std::string& deviceDirectory = "/dev");

}  // namespace berth::spec
