#include "cri/server.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

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

TEST(RefuseNoSocket, WhatStandsInItsPlace) {
  const testing::TemporaryDirectory directory;
  const std::string path = directory / "s";
  EXPECT_TRUE(refuseNoSocket(path).ok()) << "nothing is there yet";
  ASSERT_EQ(::symlink("nowhere", path.c_str()), 0);
  EXPECT_EQ(refuseNoSocket(path).code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mknod(path.c_str(), S_IFREG | 0600, 0), 0);
  EXPECT_THAT(std::string(refuseNoSocket(path).message()), ::testing::HasSubstr(path));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ASSERT_EQ(::mknod(path.c_str(), S_IFSOCK | 0600, 0), 0);
  EXPECT_TRUE(refuseNoSocket(path).ok());
}

}  // namespace
}  // namespace berth::cri
