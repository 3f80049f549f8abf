#include "images/rate_limit.hpp"

#include <algorithm>
#include <utility>

#include "images/patience.hpp"

namespace berth::images {

namespace {

// Threads wake late and write between two turns: what that costs is made up for, up to this.
constexpr std::chrono::milliseconds kCredit{100};

}  // namespace

void TokenBucket::begin(Clock::time_point now) {
  if (now - paid_ > kCredit) paid_ = now;
}

TokenBucket::Clock::time_point TokenBucket::due(size_t bytes) const {
  const std::chrono::duration<double> cost(static_cast<double>(bytes) / static_cast<double>(rate_));
  return paid_ + std::chrono::ceil<Clock::duration>(cost);
}

void RateLimit::setRate(uint64_t bytesPerSecond) {
  {
    std::lock_guard lock(mutex_);
    bucket_.setRate(bytesPerSecond);
  }
  changed_.notify_all();
}

absl::Status RateLimit::pass(const plugins::Operation& op, size_t bytes) {
  std::unique_lock lock(mutex_);
  const uint64_t own = ++last_;
  waiting_.push_back(own);
  absl::Status wanted;
  for (bool begun = false; bucket_.limited();) {
    const auto now = TokenBucket::Clock::now();
    auto until = nextLook(op);
    if (waiting_.front() == own) {
      if (!std::exchange(begun, true)) bucket_.begin(now);
      const auto due = bucket_.due(bytes);
      if (due <= now) {
        bucket_.pay(bytes);
        break;
      }
      until = std::min(until, due);
    }
    wanted = op.check();
    if (!wanted.ok()) break;
    changed_.wait_until(lock, until);
  }
  std::erase(waiting_, own);
  changed_.notify_all();
  return wanted;
}

}  // namespace berth::images
