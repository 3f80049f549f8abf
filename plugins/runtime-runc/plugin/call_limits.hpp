// How long a call of the host may take, in the terms of the parts below.
#pragma once

#include <chrono>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "monitor_client.hpp"

namespace berth::runc {

// Those of a call from the host.
CallLimits limitsOf(const Op& op);

// For clean-up, which must come to an end of its own even when its caller has been cut off.
CallLimits limitsFor(std::chrono::milliseconds duration);

// What is left, for poll(2): -1 is for ever.
int pollTimeout(const CallLimits& limits);

// OK when `pause` is over. CANCELLED or DEADLINE_EXCEEDED ("<doing>: …") at the limits, also when
// there is no pause.
absl::Status pauseFor(std::chrono::milliseconds pause, const CallLimits& limits,
                      std::string_view doing);

// Waits until `fd` is readable. CANCELLED or DEADLINE_EXCEEDED ("<doing>: …") at the limits.
absl::Status waitReadable(int fd, const CallLimits& limits, std::string_view doing);

}  // namespace berth::runc
