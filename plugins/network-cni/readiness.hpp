// Whether pods can be attached now.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "networks.hpp"

namespace berth::cni {

// Any thread. Plugins are asked (STATUS) once in a few seconds at most and by one caller at a time;
// the others get the answer before, as long as it is about the same network.
class Readiness {
 public:
  Readiness(const Options& options, const Invoker& invoker, Networks& networks)
      : options_(options), invoker_(invoker), networks_(networks) {}

  absl::Status status(const Op& op);

  // The next call asks the plugins again.
  void forget();

 private:
  struct Answer {
    uint64_t generation;
    std::chrono::steady_clock::time_point time;
    absl::Status status;
  };

  absl::Status ask(const Op& op, const Snapshot& snapshot);

  const Options& options_;
  const Invoker& invoker_;
  Networks& networks_;
  std::mutex mutex_;
  std::condition_variable answered_;
  bool asking_ = false;
  std::optional<Answer> answer_;
};

}  // namespace berth::cni
