#include "plugins/background.hpp"

#include <utility>

#include "berth/support/threads.hpp"

namespace berth::plugins {

absl::Status Background::run(std::string what, std::function<void()> work) {
  std::list<std::string>::iterator place;
  {
    const std::lock_guard lock(mutex_);
    place = running_.insert(running_.end(), std::move(what));
  }
  // Goes with the work, or with the failure to begin it.
  const std::shared_ptr<void> underWay(nullptr, [self = shared_from_this(), place](void*) {
    const std::lock_guard lock(self->mutex_);
    self->running_.erase(place);
    self->changed_.notify_all();
  });
  auto thread = support::startThread([work = std::move(work), underWay]() mutable {
    work();
    work = nullptr;
  });
  if (thread.ok()) thread->detach();
  return thread.status();
}

void Background::runSometime(std::string what, std::function<void()> work) {
  if (run(std::move(what), work).ok()) return;
  const std::lock_guard lock(mutex_);
  left_.push_back(std::move(work));
}

std::vector<std::string> Background::underWay() const {
  const std::lock_guard lock(mutex_);
  return {running_.begin(), running_.end()};
}

void Background::finish() {
  std::unique_lock lock(mutex_);
  const auto left = std::exchange(left_, {});
  lock.unlock();
  for (const auto& work : left) work();
  lock.lock();
  changed_.wait(lock, [this] { return running_.empty(); });
}

}  // namespace berth::plugins
