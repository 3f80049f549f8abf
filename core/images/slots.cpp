#include "images/slots.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::images {

absl::StatusOr<Slots::Slot> Slots::take(const plugins::Operation& op) {
  // How often one who waits looks whether it is still wanted.
  constexpr std::chrono::milliseconds kLook{100};
  std::unique_lock lock(mutex_);
  while (!freed_.wait_for(lock, kLook, [this] { return free_ > 0; }))
    BERTH_RETURN_IF_ERROR(op.check());
  --free_;
  return Slot(*this);
}

void Slots::give() {
  {
    std::lock_guard lock(mutex_);
    ++free_;
  }
  freed_.notify_one();
}

}  // namespace berth::images
