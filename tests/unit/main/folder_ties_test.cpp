#include "main/folder_ties.hpp"

#include <filesystem>
#include <fstream>

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"

namespace berth::program {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

class FolderTiesTest : public ::testing::Test {
 protected:
  FolderTiesTest() {
    for (const char* name : {"root", "state", "root-2", "state-2"})
      fs::create_directory(directory_ / name);
  }

  static std::string fileIn(const std::string& folder) { return folder + "/identity.json"; }
  static boost::json::object tie(const std::string& folder) {
    return *support::parseJsonObject(*support::readFile(fileIn(folder)), folder);
  }
  static void write(const std::string& folder, const std::string& text) {
    std::ofstream(fileIn(folder)) << text;
  }
  static void addPod(const std::string& state) { fs::create_directories(state + "/pods/0123"); }
  // Both refusals, as a start asks for them.
  static std::string said(const std::string& root, const std::string& state) {
    return std::string(refusePodsOfAnotherRoot(root, state).message()) +
           std::string(refusePodsInAnotherState(root, state).message());
  }
  void bootAnew() {
    boost::json::object changed = tie(state_);
    changed["boot"] = "another";
    write(state_, boost::json::serialize(changed));
  }

  testing::TemporaryDirectory directory_;
  const std::string root_ = directory_ / "root";
  const std::string state_ = directory_ / "state";
  const std::string root2_ = directory_ / "root-2";
  const std::string state2_ = directory_ / "state-2";
};

TEST_F(FolderTiesTest, NewFoldersBelongToEachOther) {
  EXPECT_EQ(said(root_, state_), "");
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_EQ(tie(root_)["identity"], tie(state_)["identity"]);
  EXPECT_EQ(tie(root_)["folder"].as_string(), state_);
  EXPECT_EQ(tie(state_)["folder"].as_string(), root_);
  addPod(state_);
  EXPECT_EQ(said(root_, state_), "");
}

TEST_F(FolderTiesTest, WhatIsThereIsNotWrittenAgain) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  const auto before = fs::last_write_time(fileIn(root_));
  const auto text = support::readFile(fileIn(root_));
  fs::last_write_time(fileIn(root_), before - std::chrono::hours(1));
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_EQ(fs::last_write_time(fileIn(root_)), before - std::chrono::hours(1));
  EXPECT_EQ(*support::readFile(fileIn(root_)), *text);
}

TEST_F(FolderTiesTest, AnotherRootIsRefusedWhileThereArePods) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_EQ(said(root2_, state_), "");
  addPod(state_);
  const auto refused = AllOf(HasSubstr("the pods in " + state_ + " are not those of " + root2_),
                             HasSubstr("of what was " + root_), HasSubstr(fileIn(state_)));
  EXPECT_THAT(said(root2_, state_), refused);
  ASSERT_TRUE(tieFolders(root2_, state2_).ok());
  EXPECT_THAT(said(root2_, state_), HasSubstr("not those of"));
  // As the message says.
  fs::remove(fileIn(state_));
  EXPECT_EQ(said(root2_, state_), "");
}

TEST_F(FolderTiesTest, ARootMayMove) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  addPod(state_);
  const std::string moved = directory_ / "moved";
  fs::rename(root_, moved);
  EXPECT_THAT(said(root_, state_), HasSubstr("not those of")) << "its disk is not mounted, say";
  EXPECT_EQ(said(moved, state_), "");
  ASSERT_TRUE(tieFolders(moved, state_).ok());
  EXPECT_EQ(tie(state_)["folder"].as_string(), moved);
}

TEST_F(FolderTiesTest, AnotherStateIsRefusedWhileThereArePods) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_EQ(said(root_, state2_), "");
  addPod(state_);
  EXPECT_THAT(said(root_, state2_), HasSubstr("the pods of " + root_ + " are in " + state_));
  // Which is the same by another name.
  const std::string link = directory_ / "link";
  fs::create_directory_symlink(state_, link);
  EXPECT_EQ(said(root_, link), "");
  // By now it is another root's.
  ASSERT_TRUE(tieFolders(root2_, state_).ok());
  EXPECT_EQ(said(root_, state2_), "");
}

TEST_F(FolderTiesTest, PodsDoNotOutliveTheirBoot) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  addPod(state_);
  bootAnew();
  EXPECT_EQ(said(root2_, state_), "");
  EXPECT_EQ(said(root_, state2_), "");
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_THAT(said(root2_, state_), HasSubstr("not those of"));
}

TEST_F(FolderTiesTest, AStateThatIsEmptyAfterARestartIsTheSame) {
  // As in a container, which has no boot of its own.
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  addPod(state_);
  fs::remove_all(state_);
  EXPECT_EQ(said(root_, state_), "");
  EXPECT_EQ(said(root_, state2_), "");
}

TEST_F(FolderTiesTest, FoldersWithoutFilesAreTakenOver) {
  addPod(state_);
  EXPECT_EQ(said(root_, state_), "");
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  // Cut off between the two.
  fs::remove(fileIn(state_));
  EXPECT_EQ(said(root_, state_), "");
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_EQ(tie(root_)["identity"], tie(state_)["identity"]);
}

TEST_F(FolderTiesTest, WithoutTheRootsFileTheStatesIsNotWritten) {
  fs::remove(root_);
  EXPECT_FALSE(tieFolders(root_, state_).ok());
  EXPECT_FALSE(fs::exists(fileIn(state_))) << "the next start would be refused";
}

TEST_F(FolderTiesTest, WhenItFailsTheStateIsNobodyElses) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  const std::string other = root_ + "-other";
  EXPECT_FALSE(tieFolders(other, state_).ok()) << "there is no such folder";
  addPod(state_);
  fs::create_directory(other);
  EXPECT_EQ(said(other, state_), "") << "these pods are its own";
}

TEST_F(FolderTiesTest, ADamagedFileSaysNothing) {
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  addPod(state_);
  const auto identity = tie(root_)["identity"];
  for (const std::string& damaged : {root_, state_}) {
    for (const char* text : {"", "{", "[]", "{}", "{\"identity\": 5}"}) {
      write(damaged, text);
      EXPECT_EQ(said(root_, state_), "") << damaged << text;
      ASSERT_TRUE(tieFolders(root_, state_).ok());
      EXPECT_EQ(tie(root_)["identity"], identity) << damaged << text;
      EXPECT_EQ(tie(state_)["identity"], identity) << damaged << text;
    }
  }
}

TEST_F(FolderTiesTest, WhatIsLeftOfOneThatWasCutOffGoes) {
  const std::string left = root_ + "/.identity.json.0123456789abcdef.tmp";
  std::ofstream(left) << "{";
  ASSERT_TRUE(tieFolders(root_, state_).ok());
  EXPECT_FALSE(fs::exists(left));
}

}  // namespace
}  // namespace berth::program
