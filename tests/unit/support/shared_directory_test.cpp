#include "berth/support/shared_directory.hpp"

#include <gtest/gtest.h>

#include "temporary_directory.hpp"

namespace berth::support {
namespace {

TEST(SharedDirectory, IsClearedByWhoFindsNobody) {
  const ::berth::testing::TemporaryDirectory directory;
  int cleared = 0;
  const auto share = [&] {
    return shareDirectory(directory.path(), [&] {
      ++cleared;
      return absl::OkStatus();
    });
  };
  auto first = share();
  ASSERT_TRUE(first.ok()) << first.status();
  auto second = share();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(cleared, 1);
  first->reset();
  auto third = share();
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(cleared, 1) << "the second is still there";
  second->reset();
  third->reset();
  EXPECT_TRUE(share().ok());
  EXPECT_EQ(cleared, 2);
}

TEST(SharedDirectory, WhatCannotBeClearedIsNotShared) {
  const ::berth::testing::TemporaryDirectory directory;
  const auto failing = [] { return absl::UnavailableError("no"); };
  EXPECT_TRUE(absl::IsUnavailable(shareDirectory(directory.path(), failing).status()));
  EXPECT_TRUE(shareDirectory(directory.path(), [] { return absl::OkStatus(); }).ok());
  EXPECT_TRUE(absl::IsNotFound(shareDirectory(directory / "missing", failing).status()));
}

}  // namespace
}  // namespace berth::support
