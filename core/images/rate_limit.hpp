// So many bytes in a second, over all who share them.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

#include <absl/status/status.h>

#include "plugins/operation.hpp"

namespace berth::images {

// The account of a rate. Bytes are paid for before they are used, so that not even the first ones
// after a pause come early. Not thread-safe; the caller tells the time.
class TokenBucket {
 public:
  using Clock = plugins::Operation::Clock;

  void setRate(uint64_t bytesPerSecond) { rate_ = bytesPerSecond; }
  bool limited() const { return rate_ != 0; }
  // Somebody's turn begins. It is paid for from the end of the turn before, unless that is long
  // ago.
  void begin(Clock::time_point now);
  // When this turn's bytes may be used, at the rate of now. Only with a limit, as pay().
  Clock::time_point due(size_t bytes) const;
  // They are used; without this, the turn counts for nothing.
  void pay(size_t bytes) { paid_ = due(bytes); }

 private:
  uint64_t rate_ = 0;
  Clock::time_point paid_{};  // the time that is used up
};

// Holds up who writes until it is its turn and its bytes are paid for; turns come in the order in
// which they were asked for. Thread-safe.
class RateLimit {
 public:
  explicit RateLimit(uint64_t bytesPerSecond) { bucket_.setRate(bytesPerSecond); }
  RateLimit(const RateLimit&) = delete;
  RateLimit& operator=(const RateLimit&) = delete;

  // For those who wait as well; 0: no limit.
  void setRate(uint64_t bytesPerSecond);
  // Waits; the operation's cancellation and deadline end that, and the bytes do not count then.
  absl::Status pass(const plugins::Operation& op, size_t bytes);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  TokenBucket bucket_;
  uint64_t last_ = 0;             // number of a waiting thread
  std::deque<uint64_t> waiting_;  // the longest first
};

}  // namespace berth::images
