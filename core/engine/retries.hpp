// Work that nobody waits for, tried until it is done.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "common/workers.hpp"
#include "plugins/operation.hpp"

namespace berth::engine {

// Tries each task, and what fails or throws again after a pause. A bounded number is tried at a
// time, of those that are awaited and of the others each: undoing that hangs never holds up what
// the daemon's start waits for. What is not done when the engine ends is found by the next start,
// so a task must be about something that is on record. Thread-safe.
class Retries {
 public:
  using Clock = plugins::Operation::Clock;
  static constexpr size_t kAtOnce = 16;  // awaited ones, and as many others

  struct Task {
    std::string name;  // for people: "undo RunPodSandbox 6f3a…"
    // Of one attempt. It waits for no other task.
    std::chrono::milliseconds time{std::chrono::seconds(60)};
    bool awaited = false;  // awaitFirstTries() waits for it
    // OK: it is done. Anything else is logged, once for each message, and tried again.
    std::function<absl::Status(plugins::Operation&)> work;
  };

  explicit Retries(common::Workers& workers);
  ~Retries() { finish(); }
  Retries(const Retries&) = delete;
  Retries& operator=(const Retries&) = delete;

  // Neither blocks. After finish() they do nothing.
  void add(Task task);
  void addLater(Task task);  // it has just failed: only after a pause

  // Waits until every awaited task has been tried at least once; false when `until` came first.
  bool awaitFirstTries(Clock::time_point until);
  // Cancels what is under way and waits for its end; nothing is tried afterwards. Idempotent.
  void finish();

 private:
  struct Item {
    Task task;
    unsigned failures = 0;
    std::string said;  // the last failure
    Clock::time_point due;
  };
  using SharedItem = std::shared_ptr<Item>;

  void push(Task task, unsigned failures);
  void keep();
  SharedItem takeDue(std::unique_lock<std::mutex>& lock);
  Clock::time_point dueOf(const Item& item) const;
  absl::Status tryOnce(Item& item);
  void attempt(const SharedItem& item);

  common::Workers& workers_;
  std::mutex mutex_;
  std::condition_variable wake_;  // something is due, or there is room for it
  std::condition_variable tried_;
  std::vector<SharedItem> waiting_;
  std::set<plugins::Operation*> underWay_;
  std::array<size_t, 2> active_{};  // by whether they are awaited
  size_t untried_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::engine
