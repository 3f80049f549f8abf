// Limits of a slice or scope, set through systemd's D-Bus interface (org.freedesktop.systemd1(5)).
#pragma once

#include <string>

#include <absl/status/status.h>

#include "pod_resources.hpp"

namespace berth::runc {

// Until the next boot. UNAVAILABLE when systemd cannot be reached. Blocks; any thread.
absl::Status setUnitLimits(const std::string& unit, const PodLimits& limits, CgroupMode mode);

}  // namespace berth::runc
