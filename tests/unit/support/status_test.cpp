#include "berth/support/status.hpp"

#include <cerrno>

#include <absl/strings/cord.h>
#include <gtest/gtest.h>

namespace berth::support {
namespace {

TEST(StatusTest, ErrnoBecomesCodeAndText) {
  const absl::Status status = errnoStatus(ENOENT, "open /x");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "open /x: No such file or directory");
  EXPECT_EQ(errnoStatus(EACCES, "x").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(errnoStatus(ENOSPC, "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(errnoStatus(99999, "x").message(), "x: error 99999");
  EXPECT_TRUE(errnoStatus(0, "x").ok());
}

TEST(StatusTest, AnnotateKeepsCodeAndPayload) {
  absl::Status inner = absl::AbortedError("inner");
  inner.SetPayload("stage", absl::Cord("three"));
  const absl::Status outer = annotate(inner, "outer");
  EXPECT_EQ(outer.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(outer.message(), "outer: inner");
  EXPECT_EQ(outer.GetPayload("stage"), absl::Cord("three"));
  EXPECT_TRUE(annotate(absl::OkStatus(), "outer").ok());
}

TEST(StatusTest, AnnotateSaysNothingTwice) {
  const absl::Status once = annotate(absl::AbortedError("inner"), "start x");
  EXPECT_EQ(annotate(once, "start x").message(), "start x: inner");
  EXPECT_EQ(annotate(once, "start").message(), "start: start x: inner");
}

TEST(StatusTest, CollectorKeepsFirstCodeAndAllMessages) {
  StatusCollector collector;
  collector.add(absl::OkStatus());
  EXPECT_TRUE(collector.ok());
  collector.add(absl::NotFoundError("one"));
  collector.add(absl::OkStatus());
  collector.add(absl::InternalError("two"));
  EXPECT_FALSE(collector.ok());
  EXPECT_EQ(collector.status(), absl::NotFoundError("one; two"));
}

absl::StatusOr<int> half(int value) {
  if (value % 2 != 0) return absl::InvalidArgumentError("odd");
  return value / 2;
}

absl::StatusOr<int> quarter(int value) {
  BERTH_ASSIGN_OR_RETURN(const int first, half(value));
  BERTH_ASSIGN_OR_RETURN(int second, half(first));
  return second;
}

TEST(StatusTest, MacrosPassErrorsOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(6).status(), absl::InvalidArgumentError("odd"));
}

TEST(StatusTest, StrCatTakesEveryKindOfString) {
  const std::string_view view = "view";
  const std::string text = "text";
  EXPECT_EQ(strCat(view, " ", text, " ", absl::string_view("absl"), " ", 7, " ", 1.5),
            "view text absl 7 1.5");
  EXPECT_EQ(strCat(), "");
}

}  // namespace
}  // namespace berth::support
