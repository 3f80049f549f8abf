// Taking a mutex that is held over what may block.
#pragma once

#include <mutex>
#include <string_view>

#include <absl/status/status.h>

#include "berth/support/call_limits.hpp"

namespace berth::support {

// Locks it. CANCELLED or DEADLINE_EXCEEDED ("<doing>: …") at the limits, unless it can be had at
// once. Who has waited longest is not served first.
absl::Status lockWithin(std::unique_lock<std::mutex>& lock, const CallLimits& limits,
                        std::string_view doing);

}  // namespace berth::support
