// How those who wait for each other's work notice that they are wanted no more.
#pragma once

#include <algorithm>
#include <chrono>

#include "plugins/operation.hpp"

namespace berth::images {

// When one who waits for the operation looks whether it is still wanted: nobody is woken by a
// cancellation, and at its deadline it is not.
inline plugins::Operation::Clock::time_point nextLook(const plugins::Operation& op) {
  constexpr std::chrono::milliseconds kLook{100};
  return std::min(op.deadline(), plugins::Operation::Clock::now() + kLook);
}

}  // namespace berth::images
