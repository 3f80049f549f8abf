#include "sweeper.hpp"

#include <sys/statvfs.h>
#include <utility>

#include "berth/support/remove_tree.hpp"
#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::overlay {
namespace {

// Before the kubelet begins to remove images for lack of space, by its defaults.
bool spaceIsShort(const std::string& place) {
  constexpr uint64_t kShare = 5;
  struct statvfs space = {};
  if (::statvfs(place.c_str(), &space) != 0) return true;
  return space.f_bavail < space.f_blocks / kShare || space.f_favail < space.f_files / kShare;
}

}  // namespace

Sweeper::Sweeper(std::string place, std::function<void(const absl::Status&)> failed)
    : place_(std::move(place)),
      failed_(std::move(failed)),
      pace_({.pause = [this](Pace::Clock::duration time) { pause(time); },
             .hurried = [this] { return spaceIsShort(place_); }}) {}

absl::Status Sweeper::add(std::string directory) {
  const std::lock_guard lock(mutex_);
  if (!sweeping_) {
    // It has given up the lock for the last time.
    if (thread_.joinable()) thread_.join();
    BERTH_ASSIGN_OR_RETURN(thread_, support::startThread([this] { sweep(); }));
    sweeping_ = true;
  }
  directories_.push_back(std::move(directory));
  return absl::OkStatus();
}

void Sweeper::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  ended_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Sweeper::sweep() {
  std::unique_lock lock(mutex_);
  while (!stopping_ && !directories_.empty()) {
    const std::string directory = std::move(directories_.front());
    directories_.pop_front();
    lock.unlock();
    const absl::Status status = support::returnThrown([&] { return remove(directory); });
    if (!status.ok() && !stopping()) failed_(status);
    lock.lock();
  }
  sweeping_ = false;
}

absl::Status Sweeper::remove(const std::string& directory) {
  return support::removeTree(directory, [this]() -> absl::Status {
    pace_.step();
    return stopping() ? absl::CancelledError("the plugin stops") : absl::OkStatus();
  });
}

void Sweeper::pause(Pace::Clock::duration time) {
  std::unique_lock lock(mutex_);
  ended_.wait_for(lock, time, [this] { return stopping_; });
}

bool Sweeper::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

}  // namespace berth::overlay
