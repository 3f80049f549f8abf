#include "berth/support/remove_tree.hpp"

#include <algorithm>
#include <fcntl.h>
#include <malloc.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "temporary_directory.hpp"

namespace berth::support {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RemoveTreeTest : public ::testing::Test {
 protected:
  void write(const std::string& name) {
    ASSERT_TRUE(replaceFile(directory_ / name, "x", 0600, Durability::kVisible).ok());
  }
  berth::testing::TemporaryDirectory directory_;
};

// Lowers the number of descriptors for as long as it lives.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    ::getrlimit(RLIMIT_NOFILE, &old_);
    const rlimit lower{limit, old_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &lower), 0);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &old_); }

 private:
  rlimit old_ = {};
};

TEST_F(RemoveTreeTest, RemovesEverything) {
  ASSERT_TRUE(makeDirectories(directory_ / "tree/a/b").ok());
  ASSERT_TRUE(makeDirectories(directory_ / "tree/c").ok());
  for (const char* name : {"tree/1", "tree/a/2", "tree/a/b/3", "tree/c/.4"}) write(name);
  ASSERT_EQ(::mkfifo((directory_ / "tree/fifo").c_str(), 0600), 0);
  EXPECT_TRUE(removeTree(directory_ / "tree/").ok());
  EXPECT_THAT(*listDirectory(directory_.path()), IsEmpty());
}

TEST_F(RemoveTreeTest, AsksBeforeEachNameAndEndsWhenToldTo) {
  ASSERT_TRUE(makeDirectories(directory_ / "tree/a").ok());
  for (const char* name : {"tree/1", "tree/a/2", "tree/a/3"}) write(name);
  ASSERT_EQ(::symlink("nowhere", (directory_ / "link").c_str()), 0);
  int asked = 0;
  const auto twice = [&asked]() -> absl::Status {
    return ++asked <= 2 ? absl::OkStatus() : absl::CancelledError("enough");
  };
  EXPECT_EQ(removeTree(directory_ / "tree", twice).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(asked, 3);
  asked = -10;
  EXPECT_TRUE(removeTree(directory_ / "tree", twice).ok());
  EXPECT_TRUE(removeTree(directory_ / "link", twice).ok());
  EXPECT_EQ(asked, -10 + 3 + 1) << "of five names two were gone already, and a link is one";
  EXPECT_THAT(*listDirectory(directory_.path()), IsEmpty());
}

TEST_F(RemoveTreeTest, MissingIsSuccess) {
  EXPECT_TRUE(removeTree(directory_ / "none").ok());
  EXPECT_TRUE(removeTree(directory_ / "none/below").ok());
  write("file");
  EXPECT_TRUE(removeTree(directory_ / "file/below").ok());
  EXPECT_TRUE(removeTree(directory_ / "file").ok());
  EXPECT_FALSE(pathExists(directory_ / "file"));
}

TEST_F(RemoveTreeTest, FollowsNoLink) {
  ASSERT_TRUE(makeDirectories(directory_ / "outside").ok());
  write("outside/kept");
  ASSERT_TRUE(makeDirectories(directory_ / "tree").ok());
  ASSERT_EQ(::symlink("../outside", (directory_ / "tree/link").c_str()), 0);
  ASSERT_EQ(::symlink("outside", (directory_ / "top").c_str()), 0);
  EXPECT_TRUE(removeTree(directory_ / "tree").ok());
  EXPECT_TRUE(removeTree(directory_ / "top").ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre("outside"));
  EXPECT_THAT(*listDirectory(directory_ / "outside"), ElementsAre("kept"));
}

TEST_F(RemoveTreeTest, RefusesPathsWithoutAName) {
  for (const char* path : {"", "/", "//", ".", "..", "/tmp/..", "/tmp/."})
    EXPECT_EQ(removeTree(path).code(), absl::StatusCode::kInvalidArgument) << path;
}

TEST_F(RemoveTreeTest, DeepTreesNeedFewDescriptors) {
  // Several times as deep as there are descriptors, and with a path far longer than PATH_MAX.
  constexpr int kDepth = 400;
  const std::string name(60, 'd');
  ASSERT_TRUE(makeDirectories(directory_ / "tree").ok());
  Fd current = *openFile(directory_ / "tree", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < kDepth; ++i) {
    // A second folder and a file at each level, so that the way back up matters.
    ASSERT_EQ(::mkdirat(current.get(), name.c_str(), 0700), 0);
    ASSERT_EQ(::mkdirat(current.get(), "e", 0700), 0);
    const Fd file(::openat(current.get(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    Fd next(::openat(current.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(next);
    current = std::move(next);
  }
  current.reset();
  {
    DescriptorLimit limit(64);
    const absl::Status status = removeTree(directory_ / "tree");
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_THAT(*listDirectory(directory_.path()), IsEmpty());
}

TEST_F(RemoveTreeTest, VeryWideTreesTakeNoMemory) {
  constexpr int kWide = 2500;
  const std::string name(200, 'w');
  ASSERT_TRUE(makeDirectories(directory_ / "tree").ok());
  for (int i = 0; i < kWide; ++i)
    ASSERT_EQ(::mkdir((directory_ / ("tree/" + name + std::to_string(i))).c_str(), 0700), 0);
  const size_t before = ::mallinfo2().uordblks;
  size_t most = before;
  const absl::Status status = removeTree(directory_ / "tree", [&most] {
    most = std::max(most, ::mallinfo2().uordblks);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(*listDirectory(directory_.path()), IsEmpty());
  EXPECT_LT(most - before, size_t{1024} * 400);
}

TEST_F(RemoveTreeTest, WideTrees) {
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(makeDirectories(directory_ / ("tree/" + std::to_string(i))).ok());
    Fd(::open((directory_ / ("tree/f" + std::to_string(i))).c_str(), O_CREAT | O_CLOEXEC, 0600));
  }
  EXPECT_TRUE(removeTree(directory_ / "tree").ok());
  EXPECT_THAT(*listDirectory(directory_.path()), IsEmpty());
}

TEST_F(RemoveTreeTest, StopsBeforeMounts) {
  ASSERT_TRUE(makeDirectories(directory_ / "tree/a/mounted").ok());
  ASSERT_TRUE(makeDirectories(directory_ / "source").ok());
  write("source/kept");
  // The mounts live in a namespace of this process and end with it.
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs the right to make mount namespaces";
  ASSERT_TRUE(setPropagation("/", Propagation::kPrivate, MountScope::kRecursive).ok());
  const std::string target = directory_ / "tree/a/mounted";
  // A bind mount of the same file system: the device number alone does not tell it apart.
  ASSERT_TRUE(bindMount(directory_ / "source", target).ok());

  const absl::Status below = removeTree(directory_ / "tree");
  EXPECT_EQ(below.code(), absl::StatusCode::kFailedPrecondition) << below;
  EXPECT_THAT(std::string(below.message()), HasSubstr(target + ": it is a mount point"));
  const absl::Status itself = removeTree(target);
  EXPECT_EQ(itself.code(), absl::StatusCode::kFailedPrecondition) << itself;
  EXPECT_THAT(*listDirectory(directory_ / "source"), ElementsAre("kept"));

  ASSERT_TRUE(unmount(target, UnmountMode::kNow).ok());
  EXPECT_TRUE(removeTree(directory_ / "tree").ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre("source"));
}

}  // namespace
}  // namespace berth::support
