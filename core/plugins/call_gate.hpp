// Keeps calls to what a plugin's declared threading allows.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "berth/plugin.h"
#include "plugins/operation.hpp"

namespace berth::plugins {

// Hands out the right to call: everything at once for PARALLEL, one call for an object for
// PER_OBJECT, one call in all for SERIALIZED. Thread-safe.
class CallGate {
 public:
  explicit CallGate(berth_threading threading) : threading_(threading) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

  // Held for the length of a call.
  class Pass {
   public:
    Pass() = default;
    Pass(std::shared_ptr<std::timed_mutex> mutex, std::unique_lock<std::timed_mutex> lock)
        : mutex_(std::move(mutex)), lock_(std::move(lock)) {}

   private:
    std::shared_ptr<std::timed_mutex> mutex_;  // outlives lock_: declared first
    std::unique_lock<std::timed_mutex> lock_;
  };

  // Blocks until a call about `object` may be made, with an operation no longer than that lasts:
  // CANCELLED or DEADLINE_EXCEEDED.
  absl::StatusOr<Pass> enter(std::string_view object, const Operation* op = nullptr);

 private:
  std::shared_ptr<std::timed_mutex> mutexFor(std::string_view object);

  const berth_threading threading_;
  std::mutex mutex_;
  std::map<std::string, std::weak_ptr<std::timed_mutex>, std::less<>> objects_;
};

}  // namespace berth::plugins
