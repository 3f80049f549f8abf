// Kernel parameters of a pod.
#pragma once

#include <map>
#include <string>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::spec {

// The pod's sysctls by their names with dots ("net.ipv4.ip_forward"; for "net/ipv4/conf/eth0.1/…"
// see sysctl.d(5)), for the namespaces that the pod has. INVALID_ARGUMENT names one that is not
// namespaced, or belongs to a namespace that the pod shares with the host. Any thread, does not
// block.
absl::StatusOr<std::map<std::string, std::string>> podSysctls(
    const runtime::v1::PodSandboxConfig& pod);

}  // namespace berth::spec
