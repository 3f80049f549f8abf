// What goes on of a pod although its shim cannot be asked: found on this host, and ended.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/call_limits.hpp"

namespace berth::kata {

using support::CallLimits;

// Processes of the shim's program that were started for the pod: the shim itself, and a `start`
// that still goes on. Their command lines say whom they are for.
std::vector<int64_t> shimProcesses(std::string_view program, std::string_view pod);
// Kills them until there is none. A shim whose address nobody was told is found by nothing else.
absl::Status endShims(const std::string& program, const std::string& pod, const CallLimits& limits);

// Kills what is in cgroups that have the container's id in their names, and removes them; fine when
// there are none.
absl::Status endCgroups(const std::string& container, const CallLimits& limits);

}  // namespace berth::kata
