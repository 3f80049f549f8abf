// What files on the host add to a container: CDI devices that it asks for, and OCI hooks.
#pragma once

#include <absl/status/status.h>
#include <boost/json.hpp>

#include "engine/spec/types.hpp"

namespace berth::spec {

// Adds the CDI devices of `CDI_devices` and of the annotations "cdi.k8s.io/…", and then the hooks
// for what the specification has become. Blocks on the file system; any thread. INVALID_ARGUMENT
// for devices, FAILED_PRECONDITION for hooks' files of no use.
absl::Status addInjections(const ContainerSpecInput& input, boost::json::object& spec);

}  // namespace berth::spec
