#include "key_locks.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::overlay {

absl::Status checkWanted(const Op& op) {
  if (!op.cancelled()) return absl::OkStatus();
  const int64_t now = std::chrono::duration_cast<std::chrono::nanoseconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  if (now >= op.deadline()) return absl::DeadlineExceededError("the call's deadline has passed");
  return absl::CancelledError("the call was cancelled");
}

absl::StatusOr<KeyLocks::Guard> KeyLocks::lock(const std::string& key, const Op& op) {
  // The operation can be cancelled while nothing here changes, so that a waiter looks now and then.
  constexpr auto kLook = std::chrono::milliseconds(50);
  std::unique_lock lock(mutex_);
  while (!held_.insert(key).second) {
    freed_.wait_for(lock, kLook);
    BERTH_RETURN_IF_ERROR(
        support::annotate(checkWanted(op), support::strCat("wait for another call about ", key)));
  }
  return Guard(this, key);
}

void KeyLocks::unlock(const std::string& key) {
  {
    const std::lock_guard lock(mutex_);
    held_.erase(key);
  }
  freed_.notify_all();
}

}  // namespace berth::overlay
