#include "sweeper.hpp"

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../no_more_threads.hpp"
#include "../support/temporary_directory.hpp"

namespace berth::overlay {
namespace {

namespace fs = std::filesystem;

class SweeperTest : public ::testing::Test {
 protected:
  std::string makeTree(const std::string& name, int files) {
    std::string path = folder_ / name;
    fs::create_directories(path + "/deep");
    for (int i = 0; i < files; ++i) std::ofstream(path + "/deep/" + std::to_string(i)) << "content";
    return path;
  }

  static void waitUntilGone(const std::string& path) {
    while (fs::exists(path)) ::usleep(1000);
  }

  testing::TemporaryDirectory folder_;
  // A file system that always has room.
  Sweeper sweeper_{"/proc", [](const absl::Status& status) { ADD_FAILURE() << status; }};
};

TEST_F(SweeperTest, DeletesWhatItIsGivenOneAfterAnother) {
  // Also after its thread has ended.
  for (int round = 0; round < 20; ++round) {
    const std::string one = makeTree("one", 3);
    const std::string other = makeTree("other", 3);
    ASSERT_TRUE(sweeper_.add(one).ok());
    ASSERT_TRUE(sweeper_.add(other).ok());
    waitUntilGone(one);
    waitUntilGone(other);
  }
}

TEST_F(SweeperTest, WorkOfOthersIsNotHeldUpAndHoldsItUp) {
  std::unique_ptr<const Pace::Work> work(new Pace::Work(sweeper_.work()));
  const std::string tree = makeTree("tree", 3000);
  ASSERT_TRUE(sweeper_.add(tree).ok());
  // It pauses before it begins.
  EXPECT_TRUE(fs::exists(tree + "/deep/0"));
  work.reset();
  waitUntilGone(tree);
}

TEST_F(SweeperTest, StopEndsItInTheMidstOfAPauseAndLeavesTheRest) {
  const Pace::Work work = sweeper_.work();
  const std::string tree = makeTree("tree", 10);
  const std::string next = makeTree("next", 1);
  ASSERT_TRUE(sweeper_.add(tree).ok());
  ASSERT_TRUE(sweeper_.add(next).ok());
  sweeper_.stop();
  sweeper_.stop();
  EXPECT_TRUE(fs::exists(tree + "/deep"));
  EXPECT_TRUE(fs::exists(next + "/deep/0"));
}

TEST_F(SweeperTest, WithoutAThreadNothingIsTakenOver) {
  const std::string tree = makeTree("tree", 1);
  const testing_support::NoMoreThreads shortage;
  EXPECT_EQ(sweeper_.add(tree).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(fs::exists(tree + "/deep/0"));
}

TEST(Sweeper, TellsOfWhatItCannotDelete) {
  std::atomic<int> told = 0;
  Sweeper sweeper("/proc", [&told](const absl::Status&) { ++told; });
  ASSERT_TRUE(sweeper.add("/proc/self").ok());
  while (told == 0) ::usleep(1000);
  sweeper.stop();
  EXPECT_EQ(told, 1);
}

}  // namespace
}  // namespace berth::overlay
