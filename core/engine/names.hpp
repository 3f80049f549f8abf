// What pods and containers are called.
#pragma once

#include <string>

#include "cri-runtime-v1.pb.h"

namespace berth::engine {

// What no two pods have in common (CRI, PodSandboxMetadata): "namespace/name/uid/attempt".
std::string podName(const runtime::v1::PodSandboxMetadata& metadata);
// What no two containers have in common (CRI, ContainerMetadata): "pod's id/name/attempt".
std::string containerName(const std::string& pod, const runtime::v1::ContainerMetadata& metadata);
// What people call a pod: "namespace/name". Sandboxes of one pod share it.
std::string spokenName(const runtime::v1::PodSandboxMetadata& metadata);

}  // namespace berth::engine
