#include "berth/support/call_limits.hpp"

#include <algorithm>
#include <cerrno>
#include <poll.h>

#include <climits>

#include "berth/support/status.hpp"

namespace berth::support {

using Clock = std::chrono::steady_clock;

CallLimits limitsFor(std::chrono::milliseconds duration) {
  return {.deadline = Clock::now() + duration};
}

CallLimits within(const CallLimits& limits, std::chrono::milliseconds duration) {
  CallLimits result = limits;
  result.deadline = std::min(limits.deadline, Clock::now() + duration);
  return result;
}

int pollTimeout(const CallLimits& limits) {
  if (limits.deadline == Clock::time_point::max()) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(limits.deadline - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

absl::Status pauseFor(std::chrono::milliseconds pause, const CallLimits& limits,
                      std::string_view doing) {
  const CallLimits until = within(limits, pause);
  // No descriptor at all: it only ends at a limit.
  const absl::Status ended = waitReadable(-1, until, doing);
  return until.deadline < limits.deadline && absl::IsDeadlineExceeded(ended) ? absl::OkStatus()
                                                                             : ended;
}

absl::Status waitFor(int fd, short events, const CallLimits& limits, std::string_view doing) {
  for (;;) {
    // Of a peer that it hangs up alone: poll(2) tells that unasked.
    pollfd polled[3] = {{.fd = fd, .events = events},
                        {.fd = limits.cancelFd, .events = POLLIN},
                        {.fd = limits.peerFd}};
    const int ready = ::poll(polled, 3, pollTimeout(limits));
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return errnoStatus(errno, doing);
    if (polled[0].revents != 0) return absl::OkStatus();
    if (polled[1].revents != 0) return absl::CancelledError(strCat(doing, ": cancelled"));
    if (polled[2].revents != 0) {
      return absl::UnavailableError(strCat(doing, ": ", limits.peer, " has ended"));
    }
    if (ready == 0 && pollTimeout(limits) == 0) {
      return absl::DeadlineExceededError(strCat(doing, ": the deadline has passed"));
    }
  }
}

absl::Status waitReadable(int fd, const CallLimits& limits, std::string_view doing) {
  return waitFor(fd, POLLIN, limits, doing);
}

}  // namespace berth::support
