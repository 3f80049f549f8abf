// Work that nobody waits for but the end: it calls plugins, which may not return.
#pragma once

#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>

namespace berth::plugins {

// Each work has a thread of its own. Thread-safe.
class Background : public std::enable_shared_from_this<Background> {
 public:
  // `what` is for people; `work` must not throw. RESOURCE_EXHAUSTED when there is no thread to be
  // had: nothing is done then.
  absl::Status run(std::string what, std::function<void()> work);
  // The same; without a thread to be had it is done at the end.
  void runSometime(std::string what, std::function<void()> work);
  // What is under way.
  std::vector<std::string> underWay() const;
  // Does what is left, and blocks until nothing is under way.
  void finish();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<std::string> running_;
  std::vector<std::function<void()>> left_;
};

}  // namespace berth::plugins
