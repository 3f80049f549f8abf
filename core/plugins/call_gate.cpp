#include "plugins/call_gate.hpp"

#include <chrono>

#include "berth/support/status.hpp"

namespace berth::plugins {

namespace {

// A mutex cannot be waited for together with the operation's descriptor.
constexpr auto kAskEvery = std::chrono::milliseconds(50);

}  // namespace

absl::StatusOr<CallGate::Pass> CallGate::enter(std::string_view object, const Operation* op) {
  if (threading_ == BERTH_THREADING_PARALLEL) return Pass();
  const bool perObject = threading_ == BERTH_THREADING_PER_OBJECT;
  std::shared_ptr<std::timed_mutex> mutex = mutexFor(perObject ? object : std::string_view());
  std::unique_lock lock(*mutex, std::defer_lock);
  if (op == nullptr) {
    lock.lock();
  } else {
    while (!lock.try_lock_for(kAskEvery)) {
      BERTH_RETURN_IF_ERROR(
          support::annotate(op->check(), "wait for another call to the plugin to end"));
    }
  }
  return Pass(std::move(mutex), std::move(lock));
}

std::shared_ptr<std::timed_mutex> CallGate::mutexFor(std::string_view object) {
  std::lock_guard lock(mutex_);
  std::erase_if(objects_,
                [&](const auto& entry) { return entry.second.expired() && entry.first != object; });
  auto found = objects_.find(object);
  if (found == objects_.end())
    found = objects_.emplace(std::string(object), std::weak_ptr<std::timed_mutex>()).first;
  std::shared_ptr<std::timed_mutex> mutex = found->second.lock();
  if (mutex == nullptr) {
    mutex = std::make_shared<std::timed_mutex>();
    found->second = mutex;
  }
  return mutex;
}

}  // namespace berth::plugins
