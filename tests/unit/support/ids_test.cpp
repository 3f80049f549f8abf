#include "berth/support/ids.hpp"

#include <gtest/gtest.h>

namespace berth::support {
namespace {

TEST(CheckId, RefusesWhatIsNoFileName) {
  EXPECT_TRUE(checkId("pod", "0123456789abcdef_.-").ok());
  for (const char* id : {"", ".", "..", "a/b", "-flag", "a b", "a\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(checkId("pod", id))) << id;
  }
}

}  // namespace
}  // namespace berth::support
