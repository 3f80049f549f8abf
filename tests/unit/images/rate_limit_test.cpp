#include "images/rate_limit.hpp"

#include <future>
#include <thread>

#include <gtest/gtest.h>

namespace berth::images {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = TokenBucket::Clock;
constexpr size_t kKiB = 1024;

// Takes turns at a time that does not go by itself.
class TokenBucketTest : public ::testing::Test {
 protected:
  TokenBucketTest() { bucket_.setRate(10 * kKiB); }
  // A turn that lasts until it is due, and `late` longer.
  void turn(size_t bytes, Clock::duration late = {}) {
    bucket_.begin(now_);
    now_ = std::max(now_, bucket_.due(bytes)) + late;
    bucket_.pay(bytes);
  }
  Clock::duration passed() const { return now_ - begun_; }

  TokenBucket bucket_;
  const Clock::time_point begun_ = Clock::now();
  Clock::time_point now_ = begun_;
};

TEST_F(TokenBucketTest, EvenTheFirstBytesArePaidForBefore) {
  turn(5 * kKiB);
  EXPECT_EQ(passed(), milliseconds(500));
}

TEST_F(TokenBucketTest, TurnsAddUp) {
  for (int i = 0; i < 30; ++i) turn(kKiB);
  EXPECT_EQ(passed(), seconds(3));
}

TEST_F(TokenBucketTest, WhoComesLateMakesUpForIt) {
  for (int i = 0; i < 30; ++i) turn(kKiB, milliseconds(90));
  EXPECT_EQ(passed(), seconds(3) + milliseconds(90));
}

TEST_F(TokenBucketTest, NothingIsSavedUp) {
  turn(kKiB);
  now_ += seconds(60);
  const Clock::time_point before = now_;
  turn(10 * kKiB);
  EXPECT_EQ(now_ - before, seconds(1));
}

TEST_F(TokenBucketTest, AnotherRateCountsForTheTurnUnderWay) {
  bucket_.begin(now_);
  EXPECT_EQ(bucket_.due(10 * kKiB), now_ + seconds(1));
  bucket_.setRate(20 * kKiB);
  EXPECT_EQ(bucket_.due(10 * kKiB), now_ + milliseconds(500));
}

TEST_F(TokenBucketTest, ATurnThatIsGivenUpCountsForNothing) {
  bucket_.begin(now_);
  now_ += milliseconds(200);
  const Clock::time_point before = now_;
  turn(kKiB);
  EXPECT_EQ(now_ - before, milliseconds(100));
}

TEST(RateLimitTest, WithoutALimitNobodyWaits) {
  RateLimit limit(0);
  plugins::Operation op("pull");
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(limit.pass(op, size_t{1} << 40).ok());
}

TEST(RateLimitTest, AllShareIt) {
  constexpr size_t kBytes = 20 * kKiB;
  constexpr int kThreads = 4;
  RateLimit limit(400 * kKiB);
  const auto begun = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        plugins::Operation op("pull");
        for (size_t done = 0; done < kBytes; done += kKiB) EXPECT_TRUE(limit.pass(op, kKiB).ok());
      });
    }
  }
  EXPECT_GE(Clock::now() - begun, milliseconds(1000) * kThreads * kBytes / (400 * kKiB));
}

class WaitingTest : public ::testing::Test {
 protected:
  using Passed = std::future<absl::Status>;
  static constexpr size_t kForEver = size_t{1} << 30;

  Passed begin(const plugins::Operation& op, size_t bytes) {
    return std::async(std::launch::async, [this, &op, bytes] { return limit_.pass(op, bytes); });
  }

  RateLimit limit_{kKiB};
};

TEST_F(WaitingTest, CancellingAndDeadlinesEndIt) {
  plugins::Operation unwanted("unwanted");
  Passed first = begin(unwanted, kForEver);
  Passed second = begin(unwanted, kForEver);
  plugins::Operation impatient("impatient", Clock::now() + milliseconds(50));
  EXPECT_EQ(limit_.pass(impatient, kForEver).code(), absl::StatusCode::kDeadlineExceeded);
  unwanted.cancel();
  EXPECT_EQ(first.get().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(second.get().code(), absl::StatusCode::kCancelled);
  // Nobody waits for what they did not take.
  plugins::Operation op("next");
  EXPECT_TRUE(limit_.pass(op, 1).ok());
}

TEST_F(WaitingTest, AnotherRateIsForThoseWhoWait) {
  plugins::Operation op("pull");
  Passed first = begin(op, kForEver);
  Passed second = begin(op, kForEver);
  EXPECT_EQ(first.wait_for(milliseconds(50)), std::future_status::timeout);
  limit_.setRate(0);
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
}

}  // namespace
}  // namespace berth::images
