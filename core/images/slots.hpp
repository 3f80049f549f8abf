// Turns at something that only so many may do at once.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <utility>

#include <absl/status/statusor.h>

#include "plugins/operation.hpp"

namespace berth::images {

// Bounds how many threads do something at once, with each thing of a name and, by four times as
// many, with all; for a name they come to their turns in the order in which they have asked.
// Thread-safe.
class Slots {
 public:
  explicit Slots(unsigned count) : count_(count == 0 ? 1 : count), most_(4 * count_) {}
  Slots(const Slots&) = delete;
  Slots& operator=(const Slots&) = delete;

  class Slot {
   public:
    Slot(Slot&& other) noexcept
        : slots_(std::exchange(other.slots_, nullptr)), name_(std::move(other.name_)) {}
    Slot& operator=(Slot&&) = delete;
    ~Slot() {
      if (slots_ != nullptr) slots_->give(name_);
    }

   private:
    friend class Slots;
    Slot(Slots& slots, std::string name) : slots_(&slots), name_(std::move(name)) {}
    Slots* slots_;
    std::string name_;
  };
  // Waits for one; the operation's cancellation and deadline end that.
  absl::StatusOr<Slot> take(const plugins::Operation& op, const std::string& name = {});
  // How many threads wait for one, whatever its name.
  size_t waiting() const;

 private:
  struct Line {
    unsigned taken = 0;
    std::deque<uint64_t> waiting;  // the longest first
  };

  void give(const std::string& name);

  const unsigned count_;
  const unsigned most_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  unsigned taken_ = 0;
  uint64_t last_ = 0;                  // number of a waiting thread
  std::map<std::string, Line> lines_;  // by name; those of which somebody has or wants a turn
};

}  // namespace berth::images
