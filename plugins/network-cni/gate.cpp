#include "gate.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::cni {
namespace {

// A condition variable cannot wait for the call's descriptor as well, so the call is asked this
// often. Every change of the gate itself wakes the waiting at once.
constexpr auto kAskEvery = std::chrono::milliseconds(100);

}  // namespace

Gate::Pass::Pass(Pass&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)), pod_(std::move(other.pod_)) {}

Gate::Pass::~Pass() {
  if (gate_ != nullptr) gate_->leave(pod_);
}

template <class Ready>
absl::Status Gate::await(std::unique_lock<std::mutex>& lock, const Op& op, Ready ready) {
  while (!ready()) {
    if (op.cancelled()) {
      const auto now = std::chrono::steady_clock::now().time_since_epoch();
      const bool late = std::chrono::nanoseconds(now).count() >= op.deadline();
      const char* message = "waiting for other calls to the network plugin to end";
      return late ? absl::DeadlineExceededError(message) : absl::CancelledError(message);
    }
    changed_.wait_for(lock, kAskEvery);
  }
  return absl::OkStatus();
}

absl::StatusOr<Gate::Pass> Gate::enter(const Op& op, std::string_view pod) {
  std::unique_lock lock(mutex_);
  BERTH_RETURN_IF_ERROR(await(lock, op, [&] {
    return !alone_ && waitingAlone_ == 0 && !pods_.contains(pod) &&
           (limit_ == 0 || pods_.size() < limit_);
  }));
  pods_.emplace(pod);
  return Pass(this, std::string(pod));
}

absl::StatusOr<Gate::Pass> Gate::enterAlone(const Op& op) {
  std::unique_lock lock(mutex_);
  ++waitingAlone_;
  absl::Status status = await(lock, op, [&] { return !alone_ && pods_.empty(); });
  --waitingAlone_;
  if (!status.ok()) {
    changed_.notify_all();
    return status;
  }
  alone_ = true;
  return Pass(this, {});
}

void Gate::leave(const std::string& pod) {
  const std::lock_guard lock(mutex_);
  if (pod.empty()) {
    alone_ = false;
  } else {
    pods_.erase(pod);
  }
  changed_.notify_all();
}

}  // namespace berth::cni
