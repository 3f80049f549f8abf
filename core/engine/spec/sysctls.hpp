// Kernel parameters of a pod.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"

namespace berth::spec {

using Sysctls = std::map<std::string, std::string>;

// The kernel takes only groups that are mapped where the pod's network namespace belongs.
inline constexpr std::string_view kPingGroups = "net.ipv4.ping_group_range";

// The pod's sysctls by their names with dots ("net.ipv4.ip_forward"; for "net/ipv4/conf/eth0.1/…"
// see sysctl.d(5)), for the namespaces that the pod has: those it asks for, and of `defaults`,
// which have such names too, the others that it can have. INVALID_ARGUMENT names one asked for that
// is not namespaced, or belongs to a namespace that the pod shares with the host. Any thread, does
// not block.
absl::StatusOr<Sysctls> podSysctls(const runtime::v1::PodSandboxConfig& pod,
                                   const Sysctls& defaults);

}  // namespace berth::spec
