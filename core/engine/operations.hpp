// The work that is under way, and how a repeated request joins it.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "common/workers.hpp"
#include "engine/rounds.hpp"
#include "plugins/operation.hpp"

namespace berth::engine {

using common::Workers;
using Deadline = plugins::Operation::Clock::time_point;

// Runs operations apart from the calls that ask for them. A caller waits until its own deadline and
// then hears which stage the operation is in; the operation goes on for a grace period, in which a
// repeated call joins it, and is then cancelled and rolled back by its own undo. Thread-safe.
class Operations {
 public:
  using Work = std::function<absl::StatusOr<std::string>(plugins::Operation&)>;

  // `endTime` is how long what ends with its call may take to end once it is cancelled: more
  // than a plugin takes for what it has to kill.
  explicit Operations(Workers& workers,
                      std::chrono::milliseconds endTime = std::chrono::seconds(15))
      : workers_(workers), rounds_(workers), endTime_(endTime) {}

  // Runs `work` unless an operation with the same key is running, whose result is then shared; one
  // that has been given up already is waited for, and `work` run after it.
  // `name` is for people. `work` must own what it captures: it may outlive the call.
  // RESOURCE_EXHAUSTED when there is no thread to be had.
  absl::StatusOr<std::string> run(const std::string& key, const std::string& name,
                                  Deadline deadline, Work work);

  // The same for work that must not outlast its caller's patience: it ends by itself at `end`, and
  // who asked hears of it once it has been rolled back, at the latest at `deadline`.
  absl::StatusOr<std::string> runUntil(const std::string& key, const std::string& name,
                                       Deadline end, Deadline deadline, Work work);

  // For work that ends with the call that asks for it: nobody joins it, and it is cancelled then.
  // Whatever plugins do, who asked hears its stage at `patience` at the latest, or when it has not
  // ended in time after `deadline`, or after `gone` has said that the caller has left. What has not
  // come back by then holds a thread: RESOURCE_EXHAUSTED while there is too much of the same name.
  using OwnWork = std::function<absl::Status(plugins::Operation&)>;
  absl::Status runOwn(const std::string& name, Deadline deadline, Deadline patience,
                      const std::function<bool()>& gone, OwnWork work);

  // For work that asks many.
  Rounds& rounds() { return rounds_; }

  // For the end of all: what others might join is refused from here on (UNAVAILABLE).
  void cancelAll();
  // Those whose key begins so. Does not wait for their ends.
  void cancel(std::string_view prefix);

 private:
  absl::StatusOr<std::string> join(const std::string& key, const std::string& name, Deadline end,
                                   Deadline deadline, Work work);
  struct Flight {
    Flight(const std::string& name, Deadline deadline) : operation(name, deadline) {}
    plugins::Operation operation;
    std::promise<absl::StatusOr<std::string>> promise;
    std::shared_future<absl::StatusOr<std::string>> result = promise.get_future().share();
    bool own = false;
    bool left = false;  // with the mutex held: its own caller has given up
  };

  // With the mutex held. What `work` throws is its result.
  absl::Status begin(const std::string& key, const std::shared_ptr<Flight>& flight, Work work);

  Workers& workers_;
  Rounds rounds_;
  const std::chrono::milliseconds endTime_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  bool ending_ = false;
  uint64_t lastOwn_ = 0;
  std::map<std::string, size_t> left_;  // by name
};

// When work must end so that it can be undone and answered before the deadline.
Deadline endBefore(Deadline deadline);

// For an operation whose deadline is given by the caller's; INFINITE stays so.
Deadline withGrace(Deadline deadline);

}  // namespace berth::engine
