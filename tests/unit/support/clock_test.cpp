#include "berth/support/clock.hpp"

#include <ctime>
#include <set>

#include <gtest/gtest.h>

#include "berth/support/ids.hpp"

namespace berth::support {
namespace {

TEST(ClockTest, FormatsWithNineDigits) {
  EXPECT_EQ(formatRfc3339Nano(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(formatRfc3339Nano(1'714'979'289'000'000'010), "2024-05-06T07:08:09.000000010Z");
  EXPECT_EQ(formatRfc3339Nano(951'782'399'999'999'999), "2000-02-28T23:59:59.999999999Z");
  EXPECT_EQ(formatRfc3339Nano(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(formatRfc3339Nano(INT64_MAX), "2262-04-11T23:47:16.854775807Z");
  EXPECT_EQ(formatRfc3339Nano(INT64_MIN), "1677-09-21T00:12:43.145224192Z");
}

TEST(ClockTest, NowAgreesWithTheSystem) {
  const int64_t before = static_cast<int64_t>(std::time(nullptr)) - 1;
  const int64_t now = nowNanoseconds() / 1'000'000'000;
  EXPECT_GE(now, before);
  EXPECT_LE(now, static_cast<int64_t>(std::time(nullptr)) + 1);
}

TEST(IdsTest, SixtyFourHexDigitsAndNeverTheSame) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = randomId();
    EXPECT_EQ(id.size(), 64u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second);
  }
}

}  // namespace
}  // namespace berth::support
