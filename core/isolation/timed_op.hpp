// A call of the host's own, which nobody but its deadline ends.
#pragma once

#include <chrono>
#include <cstdint>

#include "berth/plugin.hpp"

namespace berth::isolation {

// What the plugin says of its stages and progress is for nobody.
class TimedOp {
 public:
  using Clock = std::chrono::steady_clock;
  explicit TimedOp(Clock::duration time)
      // libstdc++'s steady_clock is CLOCK_MONOTONIC.
      : op_{.size = sizeof op_,
            .host = nullptr,
            .deadline = std::chrono::nanoseconds((Clock::now() + time).time_since_epoch()).count(),
            .cancel_fd = -1,
            .cancelled = &isOver,
            .stage = [](const berth_op*, berth_str) {},
            .progress = [](const berth_op*, uint64_t, uint64_t) {}} {}
  TimedOp(const TimedOp&) = delete;
  TimedOp& operator=(const TimedOp&) = delete;
  const berth_op* get() const { return &op_; }

 private:
  static int32_t isOver(const berth_op* op) {
    const std::chrono::nanoseconds now = Clock::now().time_since_epoch();
    return now.count() >= op->deadline ? 1 : 0;
  }

  const berth_op op_;
};

}  // namespace berth::isolation
