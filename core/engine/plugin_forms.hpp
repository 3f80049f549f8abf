// The forms of plugins that pods are on, or else those that serve.
#pragma once

#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "engine/objects.hpp"

namespace berth::engine {

// Null when the configuration no longer has the pod's runtime.
std::shared_ptr<plugins::Runtime> heldRuntime(const Pod& pod, const plugins::Registry& registry);
// FAILED_PRECONDITION when the configuration no longer has the pod's network.
absl::StatusOr<std::shared_ptr<plugins::Network>> heldNetwork(const Pod& pod,
                                                              const plugins::Registry& registry);

// UNAVAILABLE until the pod's runtime has told of it since the daemon's start.
absl::Status checkReached(const Pod& pod);

}  // namespace berth::engine
