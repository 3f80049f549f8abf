#include "berth/support/lock_holders.hpp"

#include <fcntl.h>
#include <future>
#include <sys/file.h>
#include <sys/mount.h>

#include <gtest/gtest.h>

#include "berth/support/process.hpp"
#include "berth/support/status.hpp"
#include "temporary_directory.hpp"

namespace berth::support {
namespace {

class LockHoldersTest : public ::testing::Test {
 protected:
  Fd open(const std::string& name) const {
    Fd file(::open((folder_ / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    EXPECT_TRUE(file);
    return file;
  }
  Fd locked(const std::string& name) const {
    Fd file = open(name);
    EXPECT_EQ(::flock(file.get(), LOCK_EX | LOCK_NB), 0);
    return file;
  }
  static struct stat about(const Fd& file) {
    struct stat info = {};
    EXPECT_EQ(::fstat(file.get(), &info), 0);
    return info;
  }
  // One that has nothing open but this.
  static Process processWith(const Fd& file) {
    auto process = spawn({.argv = {"sleep", "infinity"}, .descriptors = {{file.get(), 3}}});
    EXPECT_TRUE(process.ok()) << process.status();
    return process.ok() ? *std::move(process) : Process();
  }

  const testing::TemporaryDirectory folder_;
};

TEST_F(LockHoldersTest, AreAllThatHaveTheLockedDescriptor) {
  const Fd file = locked("file");
  const Process one = processWith(file);
  const Process another = processWith(file);
  EXPECT_TRUE(holdsLock(one.pid(), about(file)));
  EXPECT_TRUE(holdsLock(another.pid(), about(file)));
  EXPECT_TRUE(holdsLock(::getpid(), about(file)));
}

TEST_F(LockHoldersTest, AreNoneOfOtherDescriptorsAndOtherFiles) {
  const Fd file = locked("file");
  const Fd again = open("file");
  const Fd other = locked("other");
  EXPECT_FALSE(holdsLock(processWith(again).pid(), about(file)));
  EXPECT_FALSE(holdsLock(processWith(other).pid(), about(file)));
}

// Of this file a record lock (fcntl(2)), which is another's matter.
TEST_F(LockHoldersTest, AreNoneOfRecordLocks) {
  const Fd file = open("file");
  struct flock record = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 0, .l_pid = 0};
  ASSERT_EQ(::fcntl(file.get(), F_OFD_SETLK, &record), 0);
  EXPECT_FALSE(holdsLock(processWith(file).pid(), about(file)));
}

// A file system whose server answers nothing.
TEST_F(LockHoldersTest, AreFoundWhateverElseIsOpen) {
  Fd server(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  const std::string options = strCat("fd=", server.get(), ",rootmode=40000,user_id=0,group_id=0");
  const std::string& path = folder_.path();
  if (!server || ::mount("dead", path.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    GTEST_SKIP() << "needs FUSE and the right to mount";
  const Fd root(::open(path.c_str(), O_PATH | O_CLOEXEC));
  ASSERT_EQ(::umount2(path.c_str(), MNT_DETACH), 0);
  ASSERT_TRUE(root);
  const Fd file = locked("file");
  const Process process = processWith(root);
  auto holds =
      std::async(std::launch::async, [&] { return holdsLock(process.pid(), about(file)); });
  EXPECT_EQ(holds.wait_for(std::chrono::seconds(30)), std::future_status::ready);
  server.reset();  // all that waits for it goes on
  EXPECT_FALSE(holds.get());
}

}  // namespace
}  // namespace berth::support
