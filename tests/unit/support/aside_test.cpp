#include "berth/support/aside.hpp"

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "temporary_directory.hpp"

namespace berth::support {
namespace {

using berth::testing::TemporaryDirectory;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AsideFolderTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const AsideFolder folder_{directory_ / "damaged"};

  std::string make(const std::string& name) {
    std::string path = directory_ / name;
    std::ofstream(path) << "content of " << name;
    return path;
  }
};

TEST_F(AsideFolderTest, KeepsWhatItTakesInTheOrderOfTime) {
  EXPECT_THAT(*folder_.list(), IsEmpty());
  const std::string b = *folder_.take(make("b"), "b");
  const std::string a = *folder_.take(make("a"), "a");
  EXPECT_THAT(*folder_.list(), ::testing::ElementsAre(b, a));
  EXPECT_EQ(*readFile(a), "content of a");
  EXPECT_FALSE(pathExists(directory_ / "a"));
  EXPECT_THAT(describeAside(a), HasSubstr(a));
}

TEST_F(AsideFolderTest, OfOneNameAllAreKept) {
  ASSERT_TRUE(folder_.take(make("a"), "same").ok());
  ASSERT_TRUE(folder_.take(make("b"), "same").ok());
  EXPECT_THAT(*folder_.list(), SizeIs(2));
}

TEST_F(AsideFolderTest, WhatIsGoneIsNoFailure) {
  EXPECT_EQ(*folder_.take(directory_ / "missing", "missing"), "");
  EXPECT_THAT(folder_.put({directory_ / "missing", absl::OkStatus()}, "x-"), HasSubstr("any more"));
}

TEST_F(AsideFolderTest, PutSaysWhereItIs) {
  EXPECT_THAT(folder_.put({make("a.json"), absl::DataLossError("x")}, "pod-"),
              EndsWith("-pod-a.json"));
  std::ofstream(directory_ / "file") << "no folder";
  const AsideFolder other(directory_ / "file");
  EXPECT_THAT(other.put({make("b.json"), absl::DataLossError("x")}, ""), HasSubstr("file"));
  EXPECT_TRUE(pathExists(directory_ / "b.json"));
}

TEST(CutOff, IsWhatAPowerCutLeaves) {
  EXPECT_TRUE(isCutOff(""));
  EXPECT_TRUE(isCutOff(std::string(70, '\0')));
  EXPECT_FALSE(isCutOff("{"));
  EXPECT_FALSE(isCutOff(std::string(70, '\0') + "x"));
}

TEST_F(AsideFolderTest, OfTooManyTheOldestGoes) {
  for (int i = 0; i < 105; ++i) ASSERT_TRUE(folder_.take(make("x"), strCat(i)).ok());
  const auto kept = *folder_.list();
  ASSERT_THAT(kept, SizeIs(100));
  EXPECT_THAT(kept.front(), EndsWith("-5"));
  EXPECT_THAT(kept.back(), EndsWith("-104"));
}

}  // namespace
}  // namespace berth::support
