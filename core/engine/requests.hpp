// What several verbs ask of a request before anything is made.
#pragma once

#include <absl/status/status.h>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {

// INVALID_ARGUMENT names the member at fault (pod_run.cpp, container_create.cpp).
absl::Status checkPodConfig(const runtime::v1::PodSandboxConfig& config);
absl::Status checkContainerRequest(const runtime::v1::CreateContainerRequest& request);

}  // namespace berth::engine
