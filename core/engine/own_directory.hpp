// The folders of pods and containers.
#pragma once

#include <string>

#include <absl/status/status.h>

#include "engine/objects.hpp"

namespace berth::engine {

// Makes the folder of the pod or of one of its containers, and what is missing above it. What comes
// to lie in it is a container's, set-id programs and writable memory among it, so that nobody else
// of the host may get there. But a runtime that works as the root of the pod's user namespace, who
// is an ordinary user here, has to: then everybody may pass, and such programs give them the rights
// of that user at most.
absl::Status makeOwnDirectory(const std::string& path, const Pod& pod);

}  // namespace berth::engine
