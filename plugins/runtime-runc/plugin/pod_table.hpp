// The pods of one instance.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "pod.hpp"

namespace berth::runc {

// Thread-safe.
class PodTable {
 public:
  // False when the id is in use.
  bool insert(const std::shared_ptr<Pod>& pod) {
    const std::lock_guard lock(mutex_);
    return pods_.emplace(pod->id(), pod).second;
  }
  std::shared_ptr<Pod> find(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto found = pods_.find(id);
    return found == pods_.end() ? nullptr : found->second;
  }
  void erase(std::string_view id) {
    const std::lock_guard lock(mutex_);
    const auto found = pods_.find(id);
    if (found != pods_.end()) pods_.erase(found);
  }
  // Empties the table; the pods hang up when the result goes.
  auto takeAll() {
    const std::lock_guard lock(mutex_);
    return std::exchange(pods_, {});
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Pod>, std::less<>> pods_;
};

}  // namespace berth::runc
