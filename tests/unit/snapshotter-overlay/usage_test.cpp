// Trees as a container may leave them, and change them while they are measured.
#include "berth/untar/usage.hpp"

#include <fcntl.h>
#include <malloc.h>
#include <map>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"

namespace berth::untar {
namespace {

using support::Fd;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

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
  rlimit old_{};
};

class UsageTest : public ::testing::Test {
 protected:
  // The innermost of so many directories in each other, with two files beside each: their names
  // differ, so that they come before and behind it in no order.
  Fd makeDeep(int depth, const std::string& name) {
    Fd current = *support::openFile(directory_.path(), kDirectoryFlags);
    for (int i = 0; i < depth; ++i) {
      makeFile(current, "a" + std::to_string(i));
      EXPECT_EQ(::mkdirat(current.get(), name.c_str(), 0700), 0);
      makeFile(current, "z" + std::to_string(i));
      current.reset(::openat(current.get(), name.c_str(), kDirectoryFlags));
    }
    return current;
  }
  static void makeFile(const Fd& directory, const std::string& name) {
    EXPECT_TRUE(Fd(::openat(directory.get(), name.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)));
  }
  // How often each path is shown.
  absl::StatusOr<DiskUsage> walk(const EntryVisitor& visit = {}) {
    const Fd root = *support::openFile(directory_.path(), kDirectoryFlags);
    return walkTree(root.get(), [&](const FoundEntry& entry) {
      ++shown_[entry.path];
      return visit ? visit(entry) : absl::OkStatus();
    });
  }

  berth::testing::TemporaryDirectory directory_;
  std::map<std::string, int> shown_;
};

TEST_F(UsageTest, PathsMayBeLongerThanTheKernelTakes) {
  constexpr int kDepth = 400;
  makeDeep(kDepth, std::string(60, 'd'));
  const DescriptorLimit limit(64);
  const auto usage = walk();
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_EQ(usage->inodes, 1u + 3 * kDepth);
  EXPECT_EQ(shown_.size(), 1u + 3 * kDepth);
  for (const auto& [path, times] : shown_) EXPECT_EQ(times, 1) << path;
}

// A directory costs the container a few bytes of a disk: it must not cost the host its whole path.
TEST_F(UsageTest, ManyDirectoriesFarDownTakeNoMemory) {
  constexpr int kWide = 1000;
  {
    const Fd deep = makeDeep(16, std::string(200, 'd'));
    for (int i = 0; i < kWide; ++i)
      ASSERT_EQ(::mkdirat(deep.get(), std::to_string(i).c_str(), 0700), 0);
  }
  const Fd root = *support::openFile(directory_.path(), kDirectoryFlags);
  const size_t before = ::mallinfo2().uordblks;
  size_t most = before;
  const auto usage = walkTree(root.get(), [&](const FoundEntry&) {
    most = std::max(most, ::mallinfo2().uordblks);
    return absl::OkStatus();
  });
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_EQ(usage->inodes, 1u + 3 * 16 + kWide);
  EXPECT_LT(most - before, size_t{2} << 20);
}

TEST_F(UsageTest, ALinkInPlaceOfADirectoryLeadsNowhere) {
  const std::string outside = directory_ / "outside";
  ASSERT_TRUE(support::makeDirectories(directory_ / "tree/a/b").ok());
  ASSERT_TRUE(support::makeDirectories(outside + "/b/secret").ok());
  const Fd root = *support::openFile(directory_ / "tree", kDirectoryFlags);
  std::map<std::string, int> shown;
  const auto usage = walkTree(root.get(), [&](const FoundEntry& entry) {
    ++shown[entry.path];
    if (entry.path != "a/b") return absl::OkStatus();
    // Before it is looked into.
    EXPECT_EQ(::rename((directory_ / "tree/a").c_str(), (directory_ / "moved").c_str()), 0);
    EXPECT_EQ(::symlink(outside.c_str(), (directory_ / "tree/a").c_str()), 0);
    return absl::OkStatus();
  });
  ASSERT_TRUE(usage.ok()) << usage.status();
  EXPECT_FALSE(shown.contains("a/b/secret"));
}

TEST_F(UsageTest, WhatIsMovedAwayDoesNotHideTheRest) {
  constexpr int kDepth = 50;
  makeDeep(kDepth, "d");
  std::string deep;
  for (int i = 0; i < kDepth; ++i) deep += i == 0 ? "d" : "/d";
  // The outermost that is still open then: the one above it is found again through it.
  constexpr int kMoved = 19;
  const std::string moved = deep.substr(0, 2 * kMoved - 1);
  const auto usage = walk([&](const FoundEntry& entry) {
    if (entry.path == deep) {
      EXPECT_EQ(::rename((directory_ / moved).c_str(), (directory_ / "elsewhere").c_str()), 0);
    }
    return absl::OkStatus();
  });
  ASSERT_TRUE(usage.ok()) << usage.status();
  std::string at;
  for (int i = 0; i < kMoved; ++i) {
    EXPECT_EQ(shown_[at + "a" + std::to_string(i)], 1) << at;
    EXPECT_EQ(shown_[at + "z" + std::to_string(i)], 1) << at;
    at += "d/";
  }
}

}  // namespace
}  // namespace berth::untar
