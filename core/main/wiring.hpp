// From the configuration to what runs.
#pragma once

#include <memory>
#include <vector>

#include <absl/status/statusor.h>

#include "common/host_facts.hpp"
#include "common/log.hpp"
#include "config/config.hpp"
#include "cri/image_service.hpp"
#include "cri/server.hpp"
#include "engine/engine.hpp"
#include "images/image_service.hpp"
#include "images/short_names.hpp"
#include "plugins/registry.hpp"
#include "signatures/policy.hpp"
#include "streaming/server.hpp"

namespace berth::program {

// Runtimes beside the default one are not: pods of the others need none of them.
bool isRequired(const config::Config& config, plugins::Kind kind, const std::string& name);
std::vector<plugins::Wanted> wantedPlugins(const config::Config& config);
// The same configuration with the options that were resolved for each loaded plugin: defaults too.
config::Config withAllOptions(config::Config config, const plugins::Registry& registry);
common::LogSettings logSettings(const config::Config& config);
absl::StatusOr<engine::Settings> engineSettings(const config::Config& config,
                                                const common::HostFacts& host);
absl::StatusOr<engine::Preferences> enginePreferences(const config::Config& config,
                                                      const common::HostFacts& host);
// Null when every image is accepted. Blocks on the policy's file and those that it names.
absl::StatusOr<std::shared_ptr<const signatures::Policy>> signaturePolicy(
    const config::Config& config);
std::shared_ptr<const images::ShortNames> shortNames(const config::Config& config);
// Without the policy.
images::Options imageOptions(const config::Config& config);
cri::ImageSettings imageSettings(const config::Config& config);
// Looks the socket's group up.
absl::StatusOr<cri::ServerSettings> serverSettings(const config::Config& config);
streaming::Settings streamingSettings(const config::Config& config);

// "auto" is systemd where it is the init of this host (sd_booted(3)).
spec::CgroupDriver cgroupDriver(const config::Config& config);

}  // namespace berth::program
