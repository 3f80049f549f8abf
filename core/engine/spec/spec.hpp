// A container's OCI runtime specification from what the kubelet asks for, what the image says and
// what the host allows.
#pragma once

#include <absl/status/statusor.h>

#include "engine/spec/types.hpp"

namespace berth::spec {

// Builds config.json (OCI runtime specification, "Linux Container Configuration"). Reads the
// image's users from the root file system and looks at the sources of mounts and devices; changes
// nothing. Any thread; blocks on the file system alone. INVALID_ARGUMENT names the field that is
// wrong; FAILED_PRECONDITION what this host or the handler's runtime lacks.
absl::StatusOr<ContainerSpec> buildContainerSpec(const ContainerSpecInput& input);

}  // namespace berth::spec
