// A value that is replaced as a whole while others read it.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

namespace berth::common {

// Readers keep what they have loaded. Any thread; the lock is held for a copy of the pointer. Not
// std::atomic<std::shared_ptr>: that of libstdc++ 12 does not order a load before the store that
// follows it (its unlock in load() is relaxed).
template <class T>
class Published {
 public:
  explicit Published(std::shared_ptr<const T> value = nullptr) : value_(std::move(value)) {}

  std::shared_ptr<const T> load() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  void store(std::shared_ptr<const T> value) {
    const std::lock_guard lock(mutex_);
    value_.swap(value);  // the parameter, and what was there with it, goes after the lock
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const T> value_;
};

}  // namespace berth::common
