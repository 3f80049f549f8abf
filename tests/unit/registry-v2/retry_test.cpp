#include "retry.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace berth::registry {
namespace {

using std::chrono::seconds;

constexpr std::time_t kNow = 1'700'000'000;  // Tue, 14 Nov 2023 22:13:20 GMT

TEST(RetryAfter, Seconds) {
  EXPECT_EQ(parseRetryAfter("0", kNow), seconds(0));
  EXPECT_EQ(parseRetryAfter(" 17 ", kNow), seconds(17));
  EXPECT_EQ(parseRetryAfter("999999", kNow), seconds(86'400));
  EXPECT_EQ(parseRetryAfter("99999999999999999999999999", kNow), seconds(86'400));
}

TEST(RetryAfter, Dates) {
  EXPECT_EQ(parseRetryAfter("Tue, 14 Nov 2023 22:13:50 GMT", kNow), seconds(30));
  EXPECT_EQ(parseRetryAfter("Tuesday, 14-Nov-23 22:13:50 GMT", kNow), seconds(30));
  EXPECT_EQ(parseRetryAfter("Tue Nov 14 22:13:50 2023", kNow), seconds(30));
  EXPECT_EQ(parseRetryAfter("Tue, 14 Nov 2023 22:00:00 GMT", kNow), seconds(0));
}

TEST(RetryAfter, NeitherOfThem) {
  for (const char* value : {"", " ", "-1", "1.5", "soon", "12s", "Tue, 99 Xyz 2023 aa:bb:cc GMT"})
    EXPECT_EQ(parseRetryAfter(value, kNow), std::nullopt) << value;
}

TEST(BackOff, GrowsWithinBounds) {
  for (int round = 0; round < 200; ++round) {
    for (unsigned repeat = 0; repeat < 100; ++repeat) {
      const Milliseconds pause = backOff(repeat);
      const int full = std::min(250 << std::min(repeat, 10u), 5'000);
      EXPECT_LE(pause.count(), full);
      EXPECT_GE(pause.count(), full / 2);
    }
  }
}

TEST(HttpStatus, Codes) {
  EXPECT_EQ(codeOfHttpStatus(401), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(codeOfHttpStatus(403), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(codeOfHttpStatus(404), absl::StatusCode::kNotFound);
  EXPECT_EQ(codeOfHttpStatus(429), absl::StatusCode::kUnavailable);
  EXPECT_EQ(codeOfHttpStatus(500), absl::StatusCode::kUnavailable);
  EXPECT_EQ(codeOfHttpStatus(501), absl::StatusCode::kUnimplemented);
  EXPECT_EQ(codeOfHttpStatus(400), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(isTransient(429));
  EXPECT_TRUE(isTransient(503));
  EXPECT_FALSE(isTransient(404));
  EXPECT_FALSE(isTransient(501));
}

}  // namespace
}  // namespace berth::registry
