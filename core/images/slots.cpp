#include "images/slots.hpp"

#include "berth/support/status.hpp"
#include "images/patience.hpp"

namespace berth::images {

absl::StatusOr<Slots::Slot> Slots::take(const plugins::Operation& op) {
  std::unique_lock lock(mutex_);
  const uint64_t own = ++last_;
  waiting_.push_back(own);
  const auto isNext = [&] { return free_ > 0 && waiting_.front() == own; };
  while (!changed_.wait_until(lock, nextLook(op), isNext)) {
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
