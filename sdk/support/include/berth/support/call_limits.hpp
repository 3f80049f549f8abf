// How long a call may take.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

namespace berth::support {

struct CallLimits {
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  int cancelFd = -1;  // becomes readable when the call must end (CANCELLED); borrowed
  // A connection to somebody without whom the call comes to nothing, whoever it asks: when that one
  // hangs up, the call ends (UNAVAILABLE, with the name). Both borrowed.
  int peerFd = -1;
  std::string_view peer = {};
};

// Those of a call from a plugin's host: an Op (berth/plugin.hpp), which this library does not know.
template <class Op>
CallLimits limitsOf(const Op& op) {
  CallLimits limits;
  // steady_clock is CLOCK_MONOTONIC, so the deadline carries over as it is.
  if (op.deadline() != INT64_MAX) {
    limits.deadline =
        std::chrono::steady_clock::time_point(std::chrono::nanoseconds(op.deadline()));
  }
  limits.cancelFd = op.cancelFd();
  return limits;
}

// For work that must come to an end of its own, even when its caller has been cut off.
CallLimits limitsFor(std::chrono::milliseconds duration);

// The earlier of the limits and now + `duration`.
CallLimits within(const CallLimits& limits, std::chrono::milliseconds duration);

// What is left, for poll(2): -1 is for ever.
int pollTimeout(const CallLimits& limits);

// OK when `pause` is over. CANCELLED, UNAVAILABLE or DEADLINE_EXCEEDED ("<doing>: …") at the
// limits, also when there is no pause.
absl::Status pauseFor(std::chrono::milliseconds pause, const CallLimits& limits,
                      std::string_view doing);

// Waits for `events` of poll(2) on `fd`; -1 is a descriptor that never has any. CANCELLED,
// UNAVAILABLE or DEADLINE_EXCEEDED ("<doing>: …") at the limits.
absl::Status waitFor(int fd, short events, const CallLimits& limits, std::string_view doing);

// Until `fd` is readable; likewise.
absl::Status waitReadable(int fd, const CallLimits& limits, std::string_view doing);

}  // namespace berth::support
