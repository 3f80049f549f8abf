// The AppArmor profile for containers that ask for the runtime's default.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "common/host_facts.hpp"

namespace berth::spec {

inline constexpr std::string_view kDefaultAppArmorProfile = "berth-default";

// apparmor.d(5). What it refers to of `includes`, where the host's own parts of profiles are, it
// only refers to when it is there.
std::string defaultAppArmorProfile(const std::string& includes = "/etc/apparmor.d");

// Loads the profile into the kernel, replacing one of its name. FAILED_PRECONDITION when
// apparmor_parser(8) is not installed or refuses. Blocks for the time of a program; any thread.
absl::Status loadDefaultAppArmorProfile(const common::HostFacts& host);

}  // namespace berth::spec
