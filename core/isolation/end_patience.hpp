// Waiting for the process of a plugin.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <poll.h>

#include "berth/support/status.hpp"
#include "isolation/channel.hpp"

namespace berth::isolation {

// For poll(2): -1 where there is no end, and never more than it takes.
inline int millisecondsUntil(std::chrono::steady_clock::time_point time) {
  using Clock = std::chrono::steady_clock;
  if (time == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(time - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000));
}

// Waits for a channel, or for the end of the process (UNAVAILABLE) or of a time.
class EndPatience final : public Patience {
 public:
  using Clock = std::chrono::steady_clock;
  explicit EndPatience(int pidfd, Clock::time_point until = Clock::time_point::max())
      : pidfd_(pidfd), until_(until) {}

  absl::Status wait(int fd, short events) override {
    for (;;) {
      pollfd polled[2] = {{fd, events, 0}, {pidfd_, POLLIN, 0}};
      const int ready = ::poll(polled, 2, millisecondsUntil(until_));
      if (ready < 0 && errno != EINTR)
        return support::errnoStatus(errno, "wait for the plugin's process");
      // Also of one that sends a little again and again.
      if (Clock::now() >= until_) return absl::DeadlineExceededError("it took too long");
      if (ready > 0 && polled[0].revents != 0) return absl::OkStatus();
      if (ready > 0 && polled[1].revents != 0) return absl::UnavailableError("it has ended");
    }
  }

 private:
  const int pidfd_;
  const Clock::time_point until_;
};

}  // namespace berth::isolation
