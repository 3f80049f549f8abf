// What would keep the daemon from starting, and what would not work, found without starting it.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "common/host_facts.hpp"
#include "config/config.hpp"
#include "plugins/registry.hpp"

namespace berth::program {

// Of the configuration and the plugins that it names: each is loaded, configured and asked to
// examine this host. Nothing is started, and nothing outside of this process is made, so a daemon
// may be at work. Blocks; `before` is told on what.
std::vector<plugins::Finding> examineConfiguration(const config::Config& config,
                                                   const common::HostFacts& host,
                                                   const plugins::Registry::Before& before = {});

// Of the host itself, whatever the configuration. Blocks.
std::vector<plugins::Finding> examineHost(const config::Config& config,
                                          const common::HostFacts& host);

// Of what the kubelet and most networks of clusters want of a node, by the kernel's files below
// `proc`. Nothing of it keeps an engine from starting.
std::vector<plugins::Finding> examineNode(const std::string& proc = "/proc");

// What nothing makes up for: root's rights, the system calls of a kernel that is new enough, and
// cgroups that can be made.
absl::Status demandRoot();
absl::Status demandKernel(const common::HostFacts& host);
absl::Status demandCgroups(const common::HostFacts& host);

// For plugins that are loaded without a daemon. What they log goes to standard error.
plugins::HostServices servicesWithoutDaemon(const config::Config& config);

}  // namespace berth::program
