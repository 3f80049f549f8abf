// A call of the host's own.
#pragma once

#include <chrono>
#include <cstdint>
#include <poll.h>

#include "berth/plugin.hpp"

namespace berth::isolation {

// What the plugin says of its stages and progress is for nobody.
class TimedOp {
 public:
  using Clock = std::chrono::steady_clock;
  // Over after that time, and once `cancelFd` is readable; -1: there is none. Borrowed.
  TimedOp(Clock::duration time, int cancelFd)
      // libstdc++'s steady_clock is CLOCK_MONOTONIC.
      : op_{.size = sizeof op_,
            .host = nullptr,
            .deadline = std::chrono::nanoseconds((Clock::now() + time).time_since_epoch()).count(),
            .cancel_fd = cancelFd,
            .cancelled = [](const berth_op* op) -> int32_t { return isOver(*op) ? 1 : 0; },
            .stage = [](const berth_op*, berth_str) {},
            .progress = [](const berth_op*, uint64_t, uint64_t) {}} {}
  TimedOp(const TimedOp&) = delete;
  TimedOp& operator=(const TimedOp&) = delete;
  const berth_op* get() const { return &op_; }
  bool isOver() const { return isOver(op_); }

 private:
  static bool isOver(const berth_op& op) {
    const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
    pollfd polled{op.cancel_fd, POLLIN, 0};
    return now.count() >= op.deadline || ::poll(&polled, 1, 0) > 0;
  }

  const berth_op op_;
};

}  // namespace berth::isolation
