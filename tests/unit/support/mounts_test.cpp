#include "berth/support/mounts.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "temporary_directory.hpp"

namespace berth::support {
namespace {

using ::testing::HasSubstr;

TEST(MountsTest, TellsMountPointsApart) {
  berth::testing::TemporaryDirectory directory;
  EXPECT_TRUE(*isMountPoint("/proc"));
  EXPECT_FALSE(*isMountPoint(directory.path()));
  EXPECT_FALSE(*isMountPoint(directory / "none"));
  ASSERT_EQ(::symlink("/proc", (directory / "link").c_str()), 0);
  EXPECT_FALSE(*isMountPoint(directory / "link"));
}

TEST(MountsTest, MountsAndUnmounts) {
  berth::testing::TemporaryDirectory directory;
  if (::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs the right to make mount namespaces";
  ASSERT_TRUE(setPropagation("/", Propagation::kPrivate, MountScope::kRecursive).ok());
  for (const char* name : {"tmpfs", "bound", "single"})
    ASSERT_TRUE(makeDirectories(directory / name).ok());

  ASSERT_TRUE(mountFilesystem("tmpfs", directory / "tmpfs", "tmpfs", MS_NOSUID, "size=64k").ok());
  EXPECT_TRUE(*isMountPoint(directory / "tmpfs"));
  ASSERT_TRUE(makeDirectories(directory / "tmpfs/inner").ok());
  ASSERT_TRUE(mountFilesystem("tmpfs", directory / "tmpfs/inner", "tmpfs", 0).ok());
  ASSERT_TRUE(bindMount(directory / "tmpfs", directory / "bound", MountScope::kRecursive).ok());
  EXPECT_TRUE(*isMountPoint(directory / "bound/inner"));
  ASSERT_TRUE(bindMount(directory / "tmpfs", directory / "single").ok());
  EXPECT_FALSE(*isMountPoint(directory / "single/inner"));

  const absl::Status busy = unmount(directory / "bound", UnmountMode::kNow);
  EXPECT_EQ(busy.code(), absl::StatusCode::kFailedPrecondition) << busy;
  EXPECT_THAT(std::string(busy.message()), HasSubstr(directory / "bound"));
  for (const char* name : {"bound", "single", "tmpfs"}) {
    EXPECT_TRUE(unmount(directory / name, UnmountMode::kLazy).ok());
    EXPECT_FALSE(*isMountPoint(directory / name));
    EXPECT_TRUE(unmount(directory / name, UnmountMode::kNow).ok());
  }
  EXPECT_TRUE(unmount(directory / "none", UnmountMode::kNow).ok());
}

TEST(MountsTest, ErrorsNameBothEnds) {
  const absl::Status status = bindMount("/none-a", "/none-b");
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("bind-mount /none-a on /none-b"));
}

}  // namespace
}  // namespace berth::support
