// Categories that keep the pods of a host apart (SELinux, multi-category security).
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace berth::engine {

// Levels "s0:c12,c345" that pods have, each of its own. Any thread, does not block.
class SeLinuxLevels {
 public:
  // One that nobody has, taken until release().
  std::string take();
  // One that a pod has had before the daemon started.
  void claim(const std::string& level);
  void release(const std::string& level);

 private:
  std::mutex mutex_;
  std::set<std::string> taken_;
};

}  // namespace berth::engine
