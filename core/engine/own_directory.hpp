// The folders of pods and containers.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "engine/objects.hpp"

namespace berth::engine {

// Makes the folder of the pod, or of one of its containers, and what is missing above it; one that
// is there gets the same rights. Below it may come to lie programs of an image that are
// set-user-ID, devices that all may open, and files of users whose numbers the host has given to
// others, so no other user of the host may pass it. The root of the pod's user namespace has to,
// for its runtime looks for mounts as that; it passes by its group.
absl::Status makeOwnDirectory(const std::string& path, const Pod& pod);

}  // namespace berth::engine
