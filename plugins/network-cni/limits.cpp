#include "limits.hpp"

#include <algorithm>

namespace berth::cni {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kUndo = std::chrono::seconds(10);
constexpr auto kUndoOfEndedCall = std::chrono::milliseconds(900);

}  // namespace

support::RunLimits limitsOf(const Op& op, Clock::duration most) {
  support::RunLimits limits;
  limits.deadline = Clock::now() + most;
  // steady_clock is CLOCK_MONOTONIC, which the deadline is on.
  if (op.deadline() != INT64_MAX)
    limits.deadline =
        std::min(limits.deadline, Clock::time_point(std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::nanoseconds(op.deadline()))));
  limits.cancelFd = op.cancelFd();
  return limits;
}

support::RunLimits limitsOfUndo(const Op& op) {
  support::RunLimits limits;
  limits.deadline = Clock::now() + (op.cancelled() ? Clock::duration(kUndoOfEndedCall) : kUndo);
  return limits;
}

}  // namespace berth::cni
