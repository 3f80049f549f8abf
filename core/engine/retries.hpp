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
#include <string_view>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "common/workers.hpp"
#include "plugins/operation.hpp"

namespace berth::engine {

// Before a task is tried again, each twice as long as the one before. Short at first: what is in
// the way is often gone in a moment.
struct Pauses {
  std::chrono::milliseconds first{500};
  std::chrono::milliseconds longest{10000};

  std::chrono::milliseconds after(unsigned failures) const;  // in a row; none counts as one
};

// Tries each task, and what fails or throws again after a pause. A bounded number is tried at a
// time, of those that are awaited and of the others each: undoing never holds up what the daemon's
// start waits for. What takes long, as it does when a plugin hangs, holds up nothing; it has a
// thread for as long, so whoever adds tasks adds few for each object. What is not done when the
// engine ends is found by the next start, so a task must be about something that is on record.
// Thread-safe.
class Retries {
 public:
  using Clock = plugins::Operation::Clock;
  // Of awaited ones, and as many others, that have not taken long yet.
  static constexpr size_t kAtOnce = 16;

  struct Task {
    std::string name;  // for people: "undo RunPodSandbox 6f3a…"
    // Of one attempt. It waits for no other task.
    std::chrono::milliseconds time{std::chrono::seconds(60)};
    bool awaited = false;  // awaitFirstTries() waits for it
    bool logged = true;    // failures, once for each message, and that it is done after them
    Pauses pauses;
    // OK: it is done. Anything else is tried again.
    std::function<absl::Status(plugins::Operation&)> work;
  };

  // An attempt has taken long after `longTime`.
  explicit Retries(common::Workers& workers,
                   std::chrono::milliseconds longTime = std::chrono::seconds(1));
  ~Retries() { finish(); }
  Retries(const Retries&) = delete;
  Retries& operator=(const Retries&) = delete;

  // Neither blocks. After finish() they do nothing.
  void add(Task task);
  void addLater(Task task);  // it has just failed: only after a pause
  // Has a task of this name that there is tried now, or once more after a try that is under way.
  void hurry(const std::string& name);
  // Cuts tries under way short whose tasks' names have `part` in them; they are tried again. Does
  // not wait for their ends.
  void cancel(std::string_view part);

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
    Clock::time_point longAt;  // when the attempt under way has taken long
  };
  using SharedItem = std::shared_ptr<Item>;

  void push(Task task, unsigned failures);
  void keep();
  SharedItem takeDue(std::unique_lock<std::mutex>& lock);
  Clock::time_point roomFor(bool awaited);
  absl::Status tryOnce(Item& item);
  void logOutcome(Item& item, const absl::Status& status) const;
  void attempt(const SharedItem& item);

  common::Workers& workers_;
  const std::chrono::milliseconds longTime_;
  std::mutex mutex_;
  std::condition_variable wake_;  // something is due, or there is room for it
  std::condition_variable tried_;
  std::vector<SharedItem> waiting_;
  std::set<std::string> hurried_;  // names of those that are not waiting
  std::set<plugins::Operation*> underWay_;
  std::array<std::set<SharedItem>, 2> counted_;  // towards kAtOnce, by whether they are awaited
  size_t active_ = 0;
  size_t untried_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace berth::engine
