// Threads that look after pods whose monitor's connection has broken.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "berth/plugin.hpp"
#include "berth/support/fd.hpp"

namespace berth::runc {

// Settles each loss on a thread of its own: one that takes long does not keep the others waiting.
// One that cannot be settled yet is tried again, after pauses that grow and that hold no thread.
// Threads stay for later losses; where no more are to be had, those that there are take turns.
class LossSettler {
 public:
  // Blocks. What is not OK is logged, once for each message, and tried again.
  using Settle = std::function<absl::Status(const std::string& pod)>;

  // After a failure it waits for `firstPause`, then twice as long each time, half a minute at most.
  LossSettler(Settle settle, const Host& host,
              std::chrono::milliseconds firstPause = std::chrono::seconds(1))
      : settle_(std::move(settle)), host_(host), firstPause_(firstPause) {}
  ~LossSettler() { stop(); }
  LossSettler(const LossSettler&) = delete;
  LossSettler& operator=(const LossSettler&) = delete;

  // RESOURCE_EXHAUSTED without even one thread.
  absl::Status start();
  // Never blocks. Any thread. What waits for its next attempt is tried at once, what is at work
  // once more when that ends: there is one at a time for a pod.
  void post(const std::string& pod);
  // Waits for those at work, which cutOff() tells to end. Idempotent.
  void stop();
  // A descriptor that is readable once stop() has begun.
  int cutOff() const { return stopping_.get(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Loss {
    std::string pod;
    Clock::time_point due{};
    unsigned attempts = 0;
    std::string said{};  // the last message
    bool atWork = false;
    bool postedAgain = false;  // while it was at work
  };

  using Losses = std::list<Loss>;

  absl::Status addThreadLocked();
  Losses::iterator findLocked(const std::string& pod);
  Losses::iterator earliestLocked();  // of those that are not at work
  void run();
  bool settle(Loss& loss);
  std::chrono::milliseconds pauseAfter(unsigned attempts) const;

  const Settle settle_;
  const Host& host_;
  const std::chrono::milliseconds firstPause_;
  support::Fd stopping_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Losses losses_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool end_ = false;
};

}  // namespace berth::runc
