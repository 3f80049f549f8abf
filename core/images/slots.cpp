#include "images/slots.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::images {

absl::StatusOr<Slots::Slot> Slots::take(const plugins::Operation& op) {
  // How often one who waits looks whether it is still wanted.
  constexpr std::chrono::milliseconds kLook{100};
  std::unique_lock lock(mutex_);
  const uint64_t own = ++last_;
  waiting_.push_back(own);
  const auto isNext = [&] { return free_ > 0 && waiting_.front() == own; };
  while (!changed_.wait_for(lock, kLook, isNext)) {
    absl::Status wanted = op.check();
    if (wanted.ok()) continue;
    std::erase(waiting_, own);
    changed_.notify_all();
    return wanted;
  }
  --free_;
  waiting_.pop_front();
  if (free_ > 0) changed_.notify_all();
  return Slot(*this);
}

size_t Slots::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

void Slots::give() {
  {
    std::lock_guard lock(mutex_);
    ++free_;
  }
  changed_.notify_all();
}

}  // namespace berth::images
