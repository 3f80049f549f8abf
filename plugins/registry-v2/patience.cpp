#include "patience.hpp"

#include <algorithm>
#include <poll.h>

namespace berth::registry {
namespace {

// A host without a cancel descriptor is asked this often.
constexpr Milliseconds kTick{200};

}  // namespace

Milliseconds Patience::remaining() const {
  if (op_.deadline() == INT64_MAX) return Milliseconds::max();
  // libstdc++'s steady clock is CLOCK_MONOTONIC, on which the ABI's deadlines are.
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto left = std::chrono::nanoseconds(op_.deadline()) - now;
  return std::max(std::chrono::ceil<Milliseconds>(left), Milliseconds(0));
}

absl::Status Patience::check() const {
  if (remaining() == Milliseconds(0)) return absl::DeadlineExceededError("the deadline has passed");
  if (op_.cancelled()) return absl::CancelledError("the host cancelled the call");
  return absl::OkStatus();
}

Milliseconds Patience::tick() const {
  return std::min(kTick, remaining());
}

bool Patience::wouldExpire(Milliseconds pause) const {
  return remaining() <= pause;
}

absl::Status Patience::wait(Milliseconds pause) const {
  const auto end = std::chrono::steady_clock::now() + pause;
  while (true) {
    absl::Status wanted = check();
    if (!wanted.ok()) return wanted;
    const auto left = std::chrono::ceil<Milliseconds>(end - std::chrono::steady_clock::now());
    if (left <= Milliseconds(0)) return absl::OkStatus();
    pollfd cancel{.fd = op_.cancelFd(), .events = POLLIN, .revents = 0};
    ::poll(&cancel, 1, static_cast<int>(std::min(left, tick()).count()));
  }
}

}  // namespace berth::registry
