// Connections kept alive between calls.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <curl/curl.h>

namespace berth::registry {

// A transfer handle with the connection it has open: used by one thread at a time. A multi handle
// rather than a bare easy handle, because only it can be driven with a poll(2) of our own; each
// keeps its own connections, because libcurl cannot share those between threads.
class Lane {
 public:
  // RESOURCE_EXHAUSTED when libcurl cannot make a handle.
  static absl::StatusOr<std::unique_ptr<Lane>> create();
  Lane(const Lane&) = delete;
  Lane& operator=(const Lane&) = delete;
  ~Lane();

  CURL* easy() const { return easy_; }
  CURLM* multi() const { return multi_; }

 private:
  Lane() = default;

  CURL* easy_ = nullptr;
  CURLM* multi_ = nullptr;
};

// Idle lanes by origin. Any thread.
class LanePool {
 public:
  // One that has spoken to `origin` before when there is one, else a new one.
  absl::StatusOr<std::unique_ptr<Lane>> take(const std::string& origin);
  // Keeps the lane for the next call; its connection must be in a clean state.
  void give(const std::string& origin, std::unique_ptr<Lane> lane);
  // Closes all idle connections.
  void clear();

 private:
  struct Idle {
    std::string origin;
    std::unique_ptr<Lane> lane;
    std::chrono::steady_clock::time_point since;
  };
  std::vector<Idle> expired(std::chrono::steady_clock::time_point now);

  std::mutex mutex_;
  std::vector<Idle> idle_;  // the oldest first
};

}  // namespace berth::registry
