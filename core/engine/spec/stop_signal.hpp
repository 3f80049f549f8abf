// The signal that asks a container to stop.
#pragma once

#include <absl/status/statusor.h>

#include "common/image_config.hpp"
#include "cri-runtime-v1.pb.h"

namespace berth::spec {

// The request's, else the image's StopSignal ("SIGTERM", "term", "15", "SIGRTMIN+3"), else SIGTERM.
// INVALID_ARGUMENT for a name of the image's that is none. Any thread, does not block.
absl::StatusOr<int> stopSignal(const runtime::v1::ContainerConfig& config,
                               const common::ImageConfig& image);

// For container status; SIGNAL_RUNTIME_DEFAULT for a number without a name in the CRI.
runtime::v1::Signal criSignal(int number);

}  // namespace berth::spec
