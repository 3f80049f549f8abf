// Which security profiles confine a container: seccomp, AppArmor, SELinux. The functions read
// profiles and the kernel's lists of them; any thread.
#pragma once

#include <optional>
#include <string>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"
#include "engine/spec/capabilities.hpp"
#include "engine/spec/types.hpp"

namespace berth::spec {

// linux.seccomp of the OCI runtime specification; nothing when the container runs unconfined, as
// privileged ones do. `seccomp` of the request decides, else the deprecated seccomp_profile_path,
// else the configuration. FAILED_PRECONDITION when a profile is asked for and this kernel has no
// seccomp; NOT_FOUND or INVALID_ARGUMENT for a profile's file.
absl::StatusOr<std::optional<boost::json::object>> seccompFor(
    const runtime::v1::LinuxContainerSecurityContext& security, const Defaults& defaults,
    const common::HostFacts& host, uint64_t capabilities);

// process.apparmorProfile; empty when there is nothing to set. The built-in profile is loaded here
// when it is needed; any other must have been: FAILED_PRECONDITION otherwise.
absl::StatusOr<std::string> appArmorFor(const runtime::v1::LinuxContainerSecurityContext& security,
                                        const Defaults& defaults, const common::HostFacts& host,
                                        Warnings& warnings);

// Whether the host has SELinux with a policy that knows containers.
bool hasContainerLabels(const common::HostFacts& host);
// Whether that policy keeps containers apart by categories as well.
bool hasLevels(const common::HostFacts& host);

// The labels of a pod. `level` is the pod's own ("s0:c12,c345"), used where the request sets none.
// Empty labels without SELinux; INVALID_ARGUMENT for an option that is none in any case, and for a
// context that the host's policy does not have.
absl::StatusOr<SeLinuxLabels> podSeLinuxLabels(const runtime::v1::SELinuxOption& options,
                                               const common::HostFacts& host,
                                               const std::string& level);

enum class Confinement {
  kOwn,
  kNone,  // privileged, or with processes and memory of the host that other labels would hide
};

Confinement confinementOf(const runtime::v1::PodSandboxConfig& pod,
                          const runtime::v1::ContainerConfig& container);

// The labels of a container: the pod's, each part replaced where the container's own options set
// it. Those without confinement run as spc_t, which is not confined, or where the policy has none,
// without a label of their own.
absl::StatusOr<SeLinuxLabels> containerSeLinuxLabels(const runtime::v1::SELinuxOption& options,
                                                     const SeLinuxLabels& pod,
                                                     const common::HostFacts& host,
                                                     Confinement confinement);

// Whether such a container is kept from files with other labels, so that its volumes need its own.
bool isConfined(const SeLinuxLabels& labels);

}  // namespace berth::spec
