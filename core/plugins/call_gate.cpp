#include "plugins/call_gate.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::plugins {

namespace {

// A mutex cannot be waited for together with an operation's descriptor.
constexpr auto kAskEvery = std::chrono::milliseconds(50);

}  // namespace

absl::StatusOr<CallGate::Pass> CallGate::enter(std::string_view object,
                                               const std::function<absl::Status()>& wanted) {
  if (threading_ == BERTH_THREADING_PARALLEL) return Pass();
  const bool perObject = threading_ == BERTH_THREADING_PER_OBJECT;
  Place place = placeOf(perObject ? object : std::string_view());
  std::unique_lock lock(place->second.mutex, std::defer_lock);
  if (wanted == nullptr) {
    lock.lock();
  } else {
    while (!lock.try_lock_for(kAskEvery)) {
      BERTH_RETURN_IF_ERROR(
          support::annotate(wanted(), "wait for another call to the plugin to end"));
    }
  }
  return Pass(std::move(place), std::move(lock));
}

CallGate::Place CallGate::placeOf(std::string_view object) {
  const std::lock_guard lock(mutex_);
  auto found = objects_.find(object);
  if (found == objects_.end()) found = objects_.try_emplace(std::string(object)).first;
  ++found->second.users;
  return Place(&*found, Leave{this});
}

void CallGate::leave(Objects::value_type& object) {
  const std::lock_guard lock(mutex_);
  if (--object.second.users == 0) objects_.erase(objects_.find(object.first));
}

}  // namespace berth::plugins
