#include "statistics.hpp"

#include <gtest/gtest.h>

namespace berth::bench {
namespace {

TEST(Quantile, interpolatesBetweenTheNearestRanks) {
  const std::vector<double> values{10, 20, 30, 40};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 10);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 25);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 37);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 40);
}

TEST(Quantile, keepsToTheEndsForFractionsOutOfRange) {
  EXPECT_DOUBLE_EQ(quantile({1, 2}, -1), 1);
  EXPECT_DOUBLE_EQ(quantile({1, 2}, 2), 2);
}

TEST(Quantile, ofNothingIsZero) {
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
}

TEST(Summarize, doesNotDependOnTheOrder) {
  const Summary summary = summarize({9, 1, 5, 3, 7});
  EXPECT_EQ(summary.count, 5u);
  EXPECT_DOUBLE_EQ(summary.median, 5);
  EXPECT_DOUBLE_EQ(summary.minimum, 1);
  EXPECT_DOUBLE_EQ(summary.maximum, 9);
  EXPECT_DOUBLE_EQ(summary.mean, 5);
  EXPECT_DOUBLE_EQ(summary.p90, 8.2);
  EXPECT_DOUBLE_EQ(summary.p99, 8.92);
}

TEST(Summarize, oneValueIsAllOfThem) {
  const Summary summary = summarize({4.5});
  EXPECT_EQ(summary.count, 1u);
  EXPECT_DOUBLE_EQ(summary.median, 4.5);
  EXPECT_DOUBLE_EQ(summary.p99, 4.5);
}

TEST(Summarize, ofNothingIsZero) {
  EXPECT_EQ(summarize({}).count, 0u);
}

}  // namespace
}  // namespace berth::bench
