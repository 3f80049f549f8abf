// A moving average of how many threads run.
#pragma once

#include <cmath>
#include <cstdint>
#include <mutex>

#include "engine/metrics/subject.hpp"

namespace berth::metrics {

// Readings come when somebody collects metrics, at any distance: each counts for what ten seconds
// leave of the ones before it. Thread-safe.
class LoadAverage {
 public:
  // `timestamp`: nanoseconds; the numbers of threads at that time.
  Load add(int64_t timestamp, uint64_t running, uint64_t uninterruptible) {
    constexpr double kTenSeconds = 1e10;
    const std::lock_guard lock(mutex_);
    const auto passed = static_cast<double>(timestamp - timestamp_);
    const double kept = timestamp_ == 0 || passed < 0 ? 0 : std::exp(-passed / kTenSeconds);
    load_.running = load_.running * kept + static_cast<double>(running) * (1 - kept);
    load_.uninterruptible =
        load_.uninterruptible * kept + static_cast<double>(uninterruptible) * (1 - kept);
    timestamp_ = timestamp;
    return load_;
  }

 private:
  std::mutex mutex_;
  int64_t timestamp_ = 0;
  Load load_;
};

}  // namespace berth::metrics
