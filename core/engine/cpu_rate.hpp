// How much of the CPUs something uses at the moment.
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

namespace berth::engine {

// Makes a rate of the cumulative readings that calls bring along. Thread-safe.
class CpuRate {
 public:
  // The least time between two readings of which a rate is made: callers that come at the same time
  // must not spoil each other's.
  static constexpr int64_t kLeastTime = 500'000'000;

  // Takes in a reading (nanoseconds; nanoseconds of one core). Nanoseconds of one core per second
  // since a reading at least kLeastTime before; nothing until there is one.
  std::optional<uint64_t> add(int64_t timestamp, uint64_t usage) {
    const std::lock_guard lock(mutex_);
    const int64_t passed = timestamp - timestamp_;
    if (timestamp_ != 0 && passed < kLeastTime) return rate_;
    if (timestamp_ != 0 && usage >= usage_) {
      constexpr double kSecond = 1e9;
      rate_ = static_cast<uint64_t>(static_cast<double>(usage - usage_) * kSecond /
                                    static_cast<double>(passed));
    } else {
      rate_.reset();  // the first one, or the count began anew
    }
    timestamp_ = timestamp;
    usage_ = usage;
    return rate_;
  }

 private:
  std::mutex mutex_;
  int64_t timestamp_ = 0;
  uint64_t usage_ = 0;
  std::optional<uint64_t> rate_;
};

}  // namespace berth::engine
