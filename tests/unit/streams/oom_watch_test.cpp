// The watch for OOM kills, on files in place of a cgroup's.
#include "berth/streams/oom_watch.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

namespace berth::streams {
namespace {

class OomCounter : public testing::Test, public OomListener {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-oom-XXXXXX";
    directory_ = mkdtemp(pattern.data());
    std::filesystem::create_directory(directory_ + "/child");
    ASSERT_EQ(loop_.open().code, Code::kOk);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void onOomKills(uint64_t total) override { told_.push_back(total); }
  void writeEvents(const std::string& cgroup, int kills) const {
    std::ofstream(directory_ + cgroup + "/memory.events")
        << "low 0\nhigh 7\nmax 9\noom 9\noom_kill " << kills << "\noom_group_kill 0\n";
  }
  void start(OomWatch& watch) const { watch.start(CgroupVersion::kV2, directory_ + "/child"); }
  void removeChild() const {
    // What a read of a removed cgroup's file gives.
    std::filesystem::resize_file(directory_ + "/child/memory.events", 0);
  }

  std::string directory_;
  Loop loop_;
  std::vector<uint64_t> told_;
};

TEST_F(OomCounter, EachRiseIsToldOnce) {
  writeEvents("/child", 0);
  OomWatch watch(loop_, *this);
  start(watch);
  watch.check();
  EXPECT_TRUE(told_.empty());
  writeEvents("/child", 2);
  watch.check();
  watch.checkAtExit(SIGKILL);
  EXPECT_EQ(told_, std::vector<uint64_t>{2});
  EXPECT_EQ(watch.kills(), 2u);
}

TEST_F(OomCounter, ACgroupThatVanishedIsJudgedByItsParent) {
  writeEvents("", 4);
  writeEvents("/child", 0);
  const auto exitedBy = [&](int signal, int parentKills) {
    told_.clear();
    writeEvents("", 4);
    writeEvents("/child", 0);
    OomWatch watch(loop_, *this);
    start(watch);
    writeEvents("", parentKills);
    removeChild();
    watch.checkAtExit(signal);
    return told_;
  };
  EXPECT_EQ(exitedBy(SIGKILL, 5), std::vector<uint64_t>{1});
  EXPECT_TRUE(exitedBy(SIGKILL, 4).empty());
  EXPECT_TRUE(exitedBy(SIGTERM, 5).empty());
  EXPECT_TRUE(exitedBy(0, 5).empty());
}

TEST_F(OomCounter, AnOomKillOfASiblingIsNotThisOnes) {
  const auto killedAfter = [&](int parentKills) {
    told_.clear();
    writeEvents("", 4);
    writeEvents("/child", 0);
    OomWatch watch(loop_, *this);
    start(watch);
    writeEvents("", 5);
    watch.check();  // as when the parent's counter is told to have risen
    writeEvents("", parentKills);
    removeChild();
    watch.checkAtExit(SIGKILL);
    return told_;
  };
  EXPECT_TRUE(killedAfter(5).empty());
  EXPECT_EQ(killedAfter(6), std::vector<uint64_t>{1});
}

TEST_F(OomCounter, AfterAnExitHasBeenJudgedItsParentTellsOfOthers) {
  writeEvents("", 4);
  writeEvents("/child", 0);
  OomWatch watch(loop_, *this);
  start(watch);
  watch.checkAtExit(SIGKILL);
  start(watch);  // without effect: it watches
  removeChild();
  writeEvents("", 5);
  watch.checkAtExit(SIGKILL);
  EXPECT_TRUE(told_.empty());
}

TEST_F(OomCounter, WhatTheParentCountsAfterTheExitIsAnothers) {
  const auto killedBefore = [&](int atExit) {
    told_.clear();
    writeEvents("", 4);
    writeEvents("/child", 0);
    OomWatch watch(loop_, *this);
    start(watch);
    removeChild();
    writeEvents("", atExit);
    watch.noteExit();
    writeEvents("", 6);
    watch.noteExit();
    watch.checkAtExit(SIGKILL);
    return told_;
  };
  EXPECT_TRUE(killedBefore(4).empty());
  EXPECT_EQ(killedBefore(5), std::vector<uint64_t>{1});
}

TEST_F(OomCounter, NoCgroupNoWatch) {
  OomWatch watch(loop_, *this);
  watch.start(CgroupVersion::kV2, directory_ + "/none");
  watch.start(CgroupVersion::kV1, {});
  watch.checkAtExit(SIGKILL);
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace berth::streams
