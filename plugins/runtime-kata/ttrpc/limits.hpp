// How long a call may take.
#pragma once

#include <chrono>
#include <string_view>

#include <absl/status/status.h>

namespace berth::kata {

struct CallLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  int cancelFd = -1;  // readable once the call must end; borrowed
};

// For work that must come to an end of its own.
CallLimits limitsFor(std::chrono::milliseconds duration);
// The earlier of the limits and now + `duration`.
CallLimits within(const CallLimits& limits, std::chrono::milliseconds duration);
// What is left, for poll(2): -1 is for ever.
int pollTimeout(const CallLimits& limits);
// Waits for `events` of poll(2) on `fd`; -1 is a descriptor that never has any. CANCELLED or
// DEADLINE_EXCEEDED ("<doing>: …") at the limits.
absl::Status waitFor(int fd, short events, const CallLimits& limits, std::string_view doing);

}  // namespace berth::kata
