#include "plugins/operation.hpp"

#include <sys/eventfd.h>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"

namespace berth::plugins {

namespace {

int64_t monotonicNanoseconds(Operation::Clock::time_point time) {
  if (time == Operation::Clock::time_point::max()) return INT64_MAX;
  // libstdc++'s steady_clock is CLOCK_MONOTONIC.
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

}  // namespace

Operation::Operation(std::string name, Clock::time_point deadline)
    : name_(std::move(name)),
      deadline_(deadline),
      cancelFd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      op_{.size = sizeof(berth_op),
          .host = this,
          .deadline = monotonicNanoseconds(deadline),
          .cancel_fd = cancelFd_.get(),
          .cancelled = [](const berth_op* op) -> int32_t { return self(op).cancelled() ? 1 : 0; },
          .stage = [](const berth_op* op, berth_str stage) { self(op).setStage(view(stage)); },
          .progress =
              [](const berth_op* op, uint64_t done, uint64_t total) {
                Operation& operation = self(op);
                std::lock_guard lock(operation.mutex_);
                operation.progress_ = {done, total};
              }} {}

void Operation::cancel() {
  {
    std::lock_guard lock(mutex_);
    cancelled_ = true;
  }
  ::eventfd_write(cancelFd_.get(), 1);
}

bool Operation::cancelled() const {
  std::lock_guard lock(mutex_);
  return cancelled_ || Clock::now() >= deadline_;
}

absl::Status Operation::check() const {
  std::lock_guard lock(mutex_);
  if (cancelled_)
    return absl::CancelledError(support::strCat(name_, ": cancelled while: ", stage_));
  if (Clock::now() >= deadline_) {
    return absl::DeadlineExceededError(
        support::strCat(name_, ": the deadline passed while: ", stage_));
  }
  return absl::OkStatus();
}

void Operation::setStage(std::string_view stage) {
  std::lock_guard lock(mutex_);
  stage_ = stage;
}

std::string Operation::stage() const {
  std::lock_guard lock(mutex_);
  return stage_;
}

Operation::Progress Operation::progress() const {
  std::lock_guard lock(mutex_);
  return progress_;
}

}  // namespace berth::plugins
