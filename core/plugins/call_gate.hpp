// Keeps calls to what a plugin's declared threading allows.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "berth/plugin.h"

namespace berth::plugins {

// Hands out the right to call: everything at once for PARALLEL, one call for an object for
// PER_OBJECT, one call in all for SERIALIZED. Thread-safe.
class CallGate {
 public:
  explicit CallGate(berth_threading threading) : threading_(threading) {}
  CallGate(const CallGate&) = delete;
  CallGate& operator=(const CallGate&) = delete;

 private:
  // While somebody holds or awaits it. The users are counted under the gate's lock and not by
  // themselves, so that a sanitizer of plugins sees that nobody is left at the end.
  struct Object {
    std::timed_mutex mutex;
    size_t users = 0;
  };
  using Objects = std::map<std::string, Object, std::less<>>;
  struct Leave {
    CallGate* gate;
    void operator()(Objects::value_type* object) const { gate->leave(*object); }
  };
  using Place = std::unique_ptr<Objects::value_type, Leave>;

 public:
  // Held for the length of a call, which the gate outlives.
  class Pass {
   public:
    Pass() = default;
    Pass(Place place, std::unique_lock<std::timed_mutex> lock)
        : place_(std::move(place)), lock_(std::move(lock)) {}

   private:
    Place place_;  // outlives lock_: declared first
    std::unique_lock<std::timed_mutex> lock_;
  };

  // Blocks until a call about `object` may be made, and no longer than `wanted`, which is asked now
  // and then, says OK; the failure is its own.
  absl::StatusOr<Pass> enter(std::string_view object,
                             const std::function<absl::Status()>& wanted = nullptr);

 private:
  Place placeOf(std::string_view object);
  void leave(Objects::value_type& object);

  const berth_threading threading_;
  std::mutex mutex_;
  Objects objects_;
};

}  // namespace berth::plugins
