#include "berth/support/lock_within.hpp"

#include <algorithm>

#include "berth/support/status.hpp"

namespace berth::support {

// A mutex cannot be waited for together with a descriptor: it is looked at, half as often each
// time.
absl::Status lockWithin(std::unique_lock<std::mutex>& lock, const CallLimits& limits,
                        std::string_view doing) {
  constexpr std::chrono::milliseconds kLongest{160};
  for (std::chrono::milliseconds pause{5}; !lock.try_lock(); pause = std::min(2 * pause, kLongest))
    BERTH_RETURN_IF_ERROR(pauseFor(pause, limits, doing));
  return absl::OkStatus();
}

}  // namespace berth::support
