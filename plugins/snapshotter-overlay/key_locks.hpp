// One call at a time for a layer or a snapshot; calls about different ones never meet.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <string>

#include <absl/status/statusor.h>

#include "berth/plugin.hpp"

namespace berth::overlay {

// CANCELLED or DEADLINE_EXCEEDED once the operation is no longer wanted.
absl::Status checkWanted(const Op& op);

class KeyLocks {
 public:
  class Guard {
   public:
    Guard(KeyLocks* owner, std::string key) : owner_(owner), key_(std::move(key)) {}
    Guard(Guard&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)), key_(std::move(other.key_)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (owner_ != nullptr) owner_->unlock(key_);
    }

   private:
    KeyLocks* owner_;
    std::string key_;
  };

  // Blocks until the key is free or the operation is no longer wanted.
  absl::StatusOr<Guard> lock(const std::string& key, const Op& op);

 private:
  void unlock(const std::string& key);

  std::mutex mutex_;
  std::condition_variable freed_;
  std::set<std::string> held_;
};

}  // namespace berth::overlay
