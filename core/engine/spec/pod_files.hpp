// What the files of a pod say: /etc/hostname, /etc/hosts, /etc/resolv.conf. Any thread; nothing
// here touches the file system.
#pragma once

#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "common/host_facts.hpp"
#include "cri-runtime-v1.pb.h"

namespace berth::spec {

// The request's, else the host's. INVALID_ARGUMENT for what the kernel or DNS would not take.
absl::StatusOr<std::string> podHostname(const runtime::v1::PodSandboxConfig& pod,
                                        const common::HostFacts& host);

// hostname(5)
std::string hostnameFile(const std::string& hostname);

// hosts(5), for a pod with a network of its own: the loopback names, and its own name for each of
// its addresses. The kubelet puts a fuller one over it.
std::string hostsFile(const std::string& hostname, const std::vector<std::string>& addresses);

// resolv.conf(5) as dns_config says. Without one, or with one that says nothing, it is the host's,
// `hostContent`. INVALID_ARGUMENT names a server that is no address, or an entry that would not
// stay one word.
absl::StatusOr<std::string> resolvConfFile(const runtime::v1::PodSandboxConfig& pod,
                                           const std::string& hostContent);

}  // namespace berth::spec
