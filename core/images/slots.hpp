// Turns at something that only so many may do at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

#include <absl/status/statusor.h>

#include "plugins/operation.hpp"

namespace berth::images {

// Bounds how many threads do something at once; they come to their turns in the order in which they
// have asked. Thread-safe.
class Slots {
 public:
  explicit Slots(unsigned count) : free_(count == 0 ? 1 : count) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  class Slot {
   public:
    Slot(Slot&& other) noexcept : slots_(std::exchange(other.slots_, nullptr)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->give();
    }

   private:
    friend class Slots;
    explicit Slot(Slots& slots) : slots_(&slots) {}
    Slots* slots_;
  };
  // Waits for one; the operation's cancellation and deadline end that.
  absl::StatusOr<Slot> take(const plugins::Operation& op);
  // How many threads wait for one.
  size_t waiting() const;

 private:
  void give();

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  unsigned free_;
  uint64_t last_ = 0;             // number of a waiting thread
  std::deque<uint64_t> waiting_;  // the longest first
};

}  // namespace berth::images
