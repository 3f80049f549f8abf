// Limits of a slice or scope, set through systemd's D-Bus interface (org.freedesktop.systemd1(5)).
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "unit_properties.hpp"

namespace berth::runc {

// Until the next boot. systemd writes them to the control files a moment after it has answered: see
// awaitUnits(). UNAVAILABLE when systemd cannot be reached. Blocks; any thread.
absl::Status setUnitProperties(const std::string& unit,
                               const std::vector<UnitProperty>& properties);

// Returns once systemd has written what anyone had told it of units before the call, or with an
// error at the limit. Likewise.
absl::Status awaitUnits(std::chrono::microseconds limit = std::chrono::seconds(25));

}  // namespace berth::runc
