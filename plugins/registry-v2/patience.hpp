// How long a call of the host may still take.
#pragma once

#include <chrono>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "retry.hpp"

namespace berth::registry {

// The host's operation with its deadline and cancellation. Borrowed for the call; one thread.
class Patience {
 public:
  explicit Patience(const Op& op) : op_(op) {}

  const Op& op() const { return op_; }
  // OK while the call is wanted, else CANCELLED or DEADLINE_EXCEEDED.
  absl::Status check() const;
  // How long poll(2) may wait before check() is due again: well under the second within which a
  // call has to return.
  Milliseconds tick() const;
  // Whether waiting that long would leave no time to do anything after it.
  bool wouldExpire(Milliseconds pause) const;
  // Blocks for `pause` unless the call ends first, whose status is then returned.
  absl::Status wait(Milliseconds pause) const;

 private:
  Milliseconds remaining() const;

  const Op& op_;
};

}  // namespace berth::registry
