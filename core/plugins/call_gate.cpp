#include "plugins/call_gate.hpp"

namespace berth::plugins {

CallGate::Pass CallGate::enter(std::string_view object) {
  switch (threading_) {
    case BERTH_THREADING_PARALLEL:
      return Pass();
    case BERTH_THREADING_PER_OBJECT:
      return Pass(mutexFor(object));
    default:
      return Pass(mutexFor({}));
  }
}

std::shared_ptr<std::mutex> CallGate::mutexFor(std::string_view object) {
  std::lock_guard lock(mutex_);
  std::erase_if(objects_,
                [&](const auto& entry) { return entry.second.expired() && entry.first != object; });
  auto found = objects_.find(object);
  if (found == objects_.end())
    found = objects_.emplace(std::string(object), std::weak_ptr<std::mutex>()).first;
  std::shared_ptr<std::mutex> mutex = found->second.lock();
  if (mutex == nullptr) {
    mutex = std::make_shared<std::mutex>();
    found->second = mutex;
  }
  return mutex;
}

}  // namespace berth::plugins
