#include "common/refusal.hpp"

#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::common {
namespace {

TEST(Refusal, IsKeptByAllThatIsPutBeforeTheMessage) {
  const absl::Status marked = refusal(absl::InvalidArgumentError("unknown key"));
  EXPECT_EQ(marked.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(isRefusal(support::annotate(marked, "load the configuration")));
  EXPECT_EQ(marked.message(), "unknown key");
}

TEST(Refusal, IsNothingElse) {
  EXPECT_FALSE(isRefusal(absl::OkStatus()));
  EXPECT_FALSE(isRefusal(refusal(absl::OkStatus())));
  EXPECT_FALSE(isRefusal(absl::InvalidArgumentError("unknown key")));
}

// Where two things fail, a start is tried again when the first may pass.
TEST(Refusal, OfSeveralFailuresTheFirstCounts) {
  support::StatusCollector failures;
  failures.add(absl::UnavailableError("not yet"));
  failures.add(refusal(absl::InvalidArgumentError("unknown key")));
  EXPECT_FALSE(isRefusal(failures.status()));
}

}  // namespace
}  // namespace berth::common
