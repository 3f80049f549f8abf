#include "engine/volumes/mapped_mounts.hpp"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"

namespace berth::volumes {
namespace {

using spec::MappedMount;
using ::testing::HasSubstr;

constexpr uint32_t kFirstUser = 70000;
constexpr uint32_t kFirstGroup = 90000;

class MappedMounts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0 || ::unshare(CLONE_NEWNS) != 0) GTEST_SKIP() << "needs the right to mount";
    ASSERT_TRUE(support::setPropagation("/", support::Propagation::kPrivate,
                                        support::MountScope::kRecursive)
                    .ok());
    if (!idMappingWorks(directory_.path()))
      GTEST_SKIP() << "this kernel or file system has no ID-mapped mounts";
    source_ = directory_ / "source";
    ASSERT_TRUE(support::makeDirectories(source_ + "/inner").ok());
    ASSERT_TRUE(
        support::replaceFile(source_ + "/file", "x", 0644, support::Durability::kVisible).ok());
    ASSERT_EQ(::chown((source_ + "/file").c_str(), 5, 6), 0);
  }
  // What a test has mounted itself.
  void TearDown() override {
    for (const char* const name : {"/inner", "/late", ""})
      EXPECT_TRUE(support::unmount(source_ + name, support::UnmountMode::kLazy).ok()) << name;
  }
  MappedMount mount(const std::string& source, int number = 0) const {
    return {.source = source,
            .target = directory_ / ("mounts/" + std::to_string(number)),
            .uids = {{0, kFirstUser, 1000}},
            .gids = {{0, kFirstGroup, 1000}}};
  }
  struct stat info(const std::string& path) {
    struct stat result = {};
    EXPECT_EQ(::lstat(path.c_str(), &result), 0) << path;
    return result;
  }
  bool mounted(const MappedMount& one) { return *support::isMountPoint(one.target); }

  testing::TemporaryDirectory directory_;
  std::string source_;
};

TEST_F(MappedMounts, ShowTheIdsOfTheNamespace) {
  const std::vector<MappedMount> mounts = {mount(source_), mount(source_ + "/file", 1)};
  ASSERT_TRUE(checkMappedMounts(mounts, {}).ok());
  EXPECT_FALSE(support::pathExists(mounts[0].target));
  const absl::Status attached = attachMappedMounts(mounts, {});
  ASSERT_TRUE(attached.ok()) << attached;
  for (const std::string& path : {mounts[0].target + "/file", mounts[1].target}) {
    EXPECT_EQ(info(path).st_uid, kFirstUser + 5) << path;
    EXPECT_EQ(info(path).st_gid, kFirstGroup + 6) << path;
  }
  EXPECT_EQ(info(source_ + "/file").st_uid, 5u);
  ASSERT_TRUE(attachMappedMounts(mounts, {}).ok());
  ASSERT_TRUE(detachMappedMounts(mounts).ok());
  for (const MappedMount& one : mounts) EXPECT_FALSE(mounted(one)) << "attached twice";
  EXPECT_TRUE(detachMappedMounts(mounts).ok());
}

TEST_F(MappedMounts, TakeANamespaceThatIsThere) {
  // Of the same ids it would be used; of others it must not be.
  const MappedMount one = mount(source_);
  const KnownNamespace missing{"/no/such/namespace", one.uids, one.gids};
  EXPECT_THAT(std::string(attachMappedMounts({one}, missing).message()),
              HasSubstr("/no/such/namespace"));
  const KnownNamespace other{"/no/such/namespace", one.uids, {{0, 1, 1}}};
  ASSERT_TRUE(attachMappedMounts({one}, other).ok());
  EXPECT_EQ(info(one.target + "/file").st_gid, kFirstGroup + 6);
  EXPECT_TRUE(detachMappedMounts({one}).ok());
}

TEST_F(MappedMounts, BringAlongWhatIsMountedBelow) {
  ASSERT_TRUE(support::mountFilesystem("tmpfs", source_ + "/inner", "tmpfs", 0).ok());
  ASSERT_TRUE(support::makeDirectories(source_ + "/inner/below").ok());
  const MappedMount one = mount(source_);
  ASSERT_TRUE(attachMappedMounts({one}, {}).ok());
  EXPECT_TRUE(support::pathExists(one.target + "/inner/below"));
  ASSERT_TRUE(detachMappedMounts({one}).ok());
  EXPECT_TRUE(support::pathExists(source_ + "/inner/below")) << "the source has lost a mount";
}

TEST_F(MappedMounts, ManageWithMountsBelowThatCannotBeMapped) {
  ASSERT_TRUE(support::mountFilesystem("proc", source_ + "/inner", "proc", 0).ok());
  const MappedMount one = mount(source_);
  const absl::Status attached = attachMappedMounts({one}, {});
  ASSERT_TRUE(attached.ok()) << attached;
  EXPECT_EQ(info(one.target + "/file").st_uid, kFirstUser + 5);
  EXPECT_TRUE(support::pathExists(one.target + "/inner/self"));
  EXPECT_TRUE(detachMappedMounts({one}).ok());
}

TEST_F(MappedMounts, LeaveSharedSourcesAlone) {
  ASSERT_TRUE(support::bindMount(source_, source_).ok());
  ASSERT_TRUE(support::mountFilesystem("tmpfs", source_ + "/inner", "tmpfs", 0).ok());
  ASSERT_TRUE(support::setPropagation(source_, support::Propagation::kShared,
                                      support::MountScope::kRecursive)
                  .ok());
  MappedMount following = mount(source_);
  following.propagates = true;
  const std::vector<MappedMount> mounts = {following, mount(source_, 1)};
  ASSERT_TRUE(attachMappedMounts(mounts, {}).ok());
  ASSERT_TRUE(support::makeDirectories(source_ + "/late").ok());
  ASSERT_TRUE(support::mountFilesystem("tmpfs", source_ + "/late", "tmpfs", 0).ok());
  EXPECT_TRUE(*support::isMountPoint(mounts[0].target + "/late"));
  EXPECT_FALSE(*support::isMountPoint(mounts[1].target + "/late"));
  ASSERT_TRUE(detachMappedMounts(mounts).ok());
  for (const char* const name : {"/inner", "/late"})
    EXPECT_TRUE(*support::isMountPoint(source_ + name)) << name;
}

TEST_F(MappedMounts, ErrorsNameTheSource) {
  const absl::Status unmappable = checkMappedMounts({mount("/proc")}, {});
  EXPECT_EQ(unmappable.code(), absl::StatusCode::kFailedPrecondition) << unmappable;
  EXPECT_THAT(std::string(unmappable.message()), HasSubstr("map the ids of /proc"));
  ASSERT_EQ(::symlink(source_.c_str(), (directory_ / "link").c_str()), 0);
  const absl::Status link = checkMappedMounts({mount(directory_ / "link/inner")}, {});
  EXPECT_THAT(std::string(link.message()), HasSubstr("has become a symbolic link"));
  MappedMount odd = mount(source_);
  odd.uids = {{0, kFirstUser, 10}, {5, kFirstUser, 10}};
  EXPECT_EQ(checkMappedMounts({odd}, {}).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::volumes
