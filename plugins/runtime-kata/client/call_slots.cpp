#include "call_slots.hpp"

#include <poll.h>
#include <sys/eventfd.h>

namespace berth::kata {

CallSlots::CallSlots(unsigned count)
    : free_(::eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)) {}

CallSlots::Slot::~Slot() {
  if (slots_ != nullptr && slots_->free_) (void)::eventfd_write(slots_->free_.get(), 1);
}

absl::StatusOr<CallSlots::Slot> CallSlots::take(const CallLimits& limits, std::string_view doing) {
  eventfd_t one = 0;
  // Another may be faster.
  while (free_ && ::eventfd_read(free_.get(), &one) != 0) {
    absl::Status free = support::waitFor(free_.get(), POLLIN, limits, doing);
    if (!free.ok()) return free;
  }
  return Slot(*this);
}

}  // namespace berth::kata
