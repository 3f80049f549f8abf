// Deletes directories that are out of sight, beside the calls.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include <absl/status/status.h>

#include "pace.hpp"

namespace berth::overlay {

// On a thread that is there while there is something to delete. Thread-safe.
class Sweeper {
 public:
  // `place` is in the file system where space is wanted: while little is left it does not pause.
  // `failed` is called on its thread.
  Sweeper(std::string place, std::function<void(const absl::Status&)> failed);
  ~Sweeper() { stop(); }
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;

  // Does not block. RESOURCE_EXHAUSTED, and nothing is done, when there is no thread to be had.
  absl::Status add(std::string directory);
  // Whoever is waited for by somebody has one of these.
  Pace::Work work() { return Pace::Work(pace_); }
  // Returns after the step that it is at; what is not deleted stays. Idempotent.
  void stop();

 private:
  void sweep();
  absl::Status remove(const std::string& directory);
  void pause(Pace::Clock::duration time);
  bool stopping();

  const std::string place_;
  const std::function<void(const absl::Status&)> failed_;
  Pace pace_;
  std::mutex mutex_;
  std::condition_variable ended_;
  std::deque<std::string> directories_;
  bool sweeping_ = false;
  bool stopping_ = false;
  std::thread thread_;  // has ended, or is about to, when it is not sweeping
};

}  // namespace berth::overlay
