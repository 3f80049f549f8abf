#include "common/copy_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::common {
namespace {

using ::testing::HasSubstr;

class CopyTree : public ::testing::Test {
 protected:
  void SetUp() override {
    from_ = directory_ / "from";
    to_ = directory_ / "to";
    ASSERT_TRUE(support::makeDirectories(from_).ok());
    ASSERT_TRUE(support::makeDirectories(to_).ok());
  }
  absl::Status copy(const std::function<absl::Status()>& goOn = [] { return absl::OkStatus(); }) {
    auto from = support::openFile(from_, O_RDONLY | O_DIRECTORY);
    auto to = support::openFile(to_, O_RDONLY | O_DIRECTORY);
    if (!from.ok() || !to.ok()) return absl::InternalError("the test's folders cannot be opened");
    return copyTree(*from, *to, goOn);
  }
  void write(const std::string& name, const std::string& content) {
    const std::string path = from_ + "/" + name;
    ASSERT_TRUE(support::makeDirectories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(support::replaceFile(path, content, 0644, support::Durability::kVisible).ok());
  }
  struct stat info(const std::string& path) {
    struct stat result = {};
    EXPECT_EQ(::lstat(path.c_str(), &result), 0) << path;
    return result;
  }

  testing::TemporaryDirectory directory_;
  std::string from_;
  std::string to_;
};

TEST_F(CopyTree, KeepsContentModesAndTimes) {
  write("a/b/c/file", std::string(300'000, 'x'));
  write("empty", "");
  ASSERT_EQ(::chmod((from_ + "/empty").c_str(), 04751), 0);
  ASSERT_EQ(::chmod((from_ + "/a/b").c_str(), 0500), 0);
  ASSERT_EQ(::chmod(from_.c_str(), 01777), 0);
  const timespec times[2] = {{1000, 5}, {2000, 7}};
  for (const char* const name : {"/empty", "/a/b", ""})
    ASSERT_EQ(::utimensat(AT_FDCWD, (from_ + name).c_str(), times, 0), 0);
  const absl::Status copied = copy();
  ASSERT_TRUE(copied.ok()) << copied;
  EXPECT_EQ(*support::readFile(to_ + "/a/b/c/file"), std::string(300'000, 'x'));
  EXPECT_EQ(info(to_ + "/empty").st_mode & 07777, 04751u);
  EXPECT_EQ(info(to_ + "/a/b").st_mode & 07777, 0500u);
  EXPECT_EQ(info(to_).st_mode & 07777, 01777u);
  for (const char* const name : {"/empty", "/a/b", ""}) {
    EXPECT_EQ(info(to_ + name).st_mtim.tv_sec, 2000) << name;
    EXPECT_EQ(info(to_ + name).st_mtim.tv_nsec, 7) << name;
  }
  ASSERT_EQ(::chmod((to_ + "/a/b").c_str(), 0700), 0);
}

TEST_F(CopyTree, KeepsLinksOfBothKinds) {
  write("first", "shared");
  ASSERT_TRUE(support::makeDirectories(from_ + "/deep").ok());
  ASSERT_EQ(::link((from_ + "/first").c_str(), (from_ + "/deep/second").c_str()), 0);
  ASSERT_EQ(::symlink("/etc/passwd", (from_ + "/symbolic").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", (from_ + "/directory").c_str()), 0);
  ASSERT_TRUE(copy().ok());
  EXPECT_EQ(info(to_ + "/first").st_ino, info(to_ + "/deep/second").st_ino);
  EXPECT_EQ(info(to_ + "/first").st_nlink, 2u);
  EXPECT_TRUE(S_ISLNK(info(to_ + "/symbolic").st_mode));
  EXPECT_TRUE(S_ISLNK(info(to_ + "/directory").st_mode));
}

TEST_F(CopyTree, KeepsHoles) {
  write("sparse", "head");
  ASSERT_EQ(::truncate((from_ + "/sparse").c_str(), 8 << 20), 0);
  ASSERT_TRUE(copy().ok());
  EXPECT_EQ(info(to_ + "/sparse").st_size, 8 << 20);
  EXPECT_LT(info(to_ + "/sparse").st_blocks * 512, 1 << 20);
  EXPECT_EQ(support::readFile(to_ + "/sparse")->substr(0, 5), std::string("head\0", 5));
}

TEST_F(CopyTree, KeepsSpecialFilesAndAttributes) {
  ASSERT_EQ(::mkfifo((from_ + "/pipe").c_str(), 0600), 0);
  ASSERT_EQ(::chmod((from_ + "/pipe").c_str(), 0620), 0);
  write("file", "text");
  if (::setxattr((from_ + "/file").c_str(), "user.berth", "value", 5, 0) != 0)
    GTEST_SKIP() << "the file system has no extended attributes";
  ASSERT_TRUE(copy().ok());
  EXPECT_TRUE(S_ISFIFO(info(to_ + "/pipe").st_mode));
  EXPECT_EQ(info(to_ + "/pipe").st_mode & 07777, 0620u);
  char value[16];
  ASSERT_EQ(::getxattr((to_ + "/file").c_str(), "user.berth", value, sizeof value), 5);
  EXPECT_EQ(std::string(value, 5), "value");
}

TEST_F(CopyTree, KeepsOwners) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs the right to change owners";
  write("file", "text");
  ASSERT_EQ(::symlink("file", (from_ + "/link").c_str()), 0);
  ASSERT_EQ(::lchown((from_ + "/file").c_str(), 1000, 2000), 0);
  ASSERT_EQ(::lchown((from_ + "/link").c_str(), 3000, 4000), 0);
  ASSERT_EQ(::lchown(from_.c_str(), 5000, 6000), 0);
  ASSERT_TRUE(copy().ok());
  EXPECT_EQ(info(to_ + "/file").st_uid, 1000u);
  EXPECT_EQ(info(to_ + "/file").st_gid, 2000u);
  EXPECT_EQ(info(to_ + "/link").st_uid, 3000u);
  EXPECT_EQ(info(to_).st_gid, 6000u);
}

TEST_F(CopyTree, EndsWhenToldTo) {
  for (const char* const name : {"a", "b", "c"}) write(name, "");
  int entries = 0;
  const absl::Status status = copy([&]() -> absl::Status {
    return ++entries < 2 ? absl::OkStatus() : absl::CancelledError("given up");
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(entries, 2);
}

TEST_F(CopyTree, ErrorsNameTheEntry) {
  write("deep/file", "");
  ASSERT_TRUE(support::makeDirectories(to_ + "/deep").ok());
  const absl::Status status = copy();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), HasSubstr("./deep"));
}

}  // namespace
}  // namespace berth::common
