#include "engine/cpu_rate.hpp"

#include <gtest/gtest.h>

namespace berth::engine {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kStart = 1'700'000'000 * kSecond;

TEST(CpuRateTest, TakesTwoReadings) {
  CpuRate rate;
  EXPECT_EQ(rate.add(kStart, 5000), std::nullopt);
  // Half a core for two seconds.
  EXPECT_EQ(rate.add(kStart + 2 * kSecond, 5000 + kSecond), uint64_t{kSecond / 2});
}

TEST(CpuRateTest, ReadingsAtNearlyTheSameTimeDoNotSpoilIt) {
  CpuRate rate;
  rate.add(kStart, 0);
  EXPECT_EQ(rate.add(kStart + CpuRate::kLeastTime - 1, 100), std::nullopt);
  EXPECT_EQ(rate.add(kStart + kSecond, kSecond), uint64_t{kSecond});
  // Another caller right after: what is known stays, and does not become the new beginning.
  EXPECT_EQ(rate.add(kStart + kSecond + 1, kSecond + 1), uint64_t{kSecond});
  EXPECT_EQ(rate.add(kStart + 2 * kSecond, kSecond), uint64_t{0});
}

TEST(CpuRateTest, ACountThatBeganAnewGivesNoRate) {
  CpuRate rate;
  rate.add(kStart, 1000);
  EXPECT_EQ(rate.add(kStart + kSecond, 10), std::nullopt);
  EXPECT_EQ(rate.add(kStart + 2 * kSecond, 20), uint64_t{10});
}

}  // namespace
}  // namespace berth::engine
