// Threads that look after pods whose monitor's connection has broken.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::runc {

// Settles each loss on a thread of its own: one that takes long does not keep the others waiting.
// Threads stay for later losses; where no more are to be had, those that there are take turns.
class LossSettler {
 public:
  using Settle = std::function<void(const std::string& pod)>;

  explicit LossSettler(Settle settle) : settle_(std::move(settle)) {}
  ~LossSettler() { stop(); }
  LossSettler(const LossSettler&) = delete;
  LossSettler& operator=(const LossSettler&) = delete;

  // RESOURCE_EXHAUSTED without even one thread.
  absl::Status start();
  // Never blocks. Any thread.
  void post(const std::string& pod);
  // Waits for those at work, which cutOff() tells to end. Idempotent.
  void stop();
  // A descriptor that is readable once stop() has begun.
  int cutOff() const { return stopping_.get(); }

 private:
  void addThreadLocked();
  void run();

  const Settle settle_;
  support::Fd stopping_;
  std::mutex mutex_;
  std::condition_variable added_;
  std::deque<std::string> losses_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool end_ = false;
};

}  // namespace berth::runc
