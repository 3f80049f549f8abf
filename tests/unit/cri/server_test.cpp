#include "cri/server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::cri {
namespace {

TEST(SocketGroup, IsANameOrANumber) {
  EXPECT_EQ(*socketGroup("root"), 0u);
  EXPECT_EQ(*socketGroup("0"), 0u);
  EXPECT_EQ(*socketGroup("64998"), 64998u) << "numbers need no entry";
  for (const char* wrong : {"no-such-group", "-1", "4294967295", "4294967296", "12x", " 1"}) {
    const auto group = socketGroup(wrong);
    EXPECT_EQ(group.status().code(), absl::StatusCode::kFailedPrecondition) << wrong;
    EXPECT_THAT(std::string(group.status().message()), ::testing::HasSubstr(wrong));
  }
}

}  // namespace
}  // namespace berth::cri
