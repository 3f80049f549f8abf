// A bound on calls that are at work at once.
#pragma once

#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "../ttrpc/limits.hpp"
#include "berth/support/fd.hpp"

namespace berth::kata {

// Thread-safe. Outlives its slots.
class CallSlots {
 public:
  // Given back with this object.
  class Slot {
   public:
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot();

   private:
    friend class CallSlots;
    explicit Slot(CallSlots& slots) : slots_(&slots) {}
    CallSlots* slots_;
  };

  explicit CallSlots(unsigned count);
  // Waits for a free one. CANCELLED or DEADLINE_EXCEEDED ("<doing>: …") at the limits.
  absl::StatusOr<Slot> take(const CallLimits& limits, std::string_view doing);

 private:
  support::Fd free_;  // an eventfd that counts; none where no descriptor was to be had
};

}  // namespace berth::kata
