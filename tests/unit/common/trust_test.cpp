#include "common/trust.hpp"

#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

namespace berth::common {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kOther = 65534;

class TrustTest : public ::testing::Test {
 protected:
  TrustTest() { std::ofstream(file_) << "text"; }

  // What is said of the file, or of the folder.
  static std::string said(const std::string& path, mode_t mode) {
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    const absl::Status status = refuseWritableByOthers(path);
    EXPECT_TRUE(status.ok() || absl::IsFailedPrecondition(status)) << status;
    return std::string(status.message());
  }
  static void give(const std::string& path, uid_t owner, gid_t group) {
    EXPECT_EQ(::chown(path.c_str(), owner, group), 0);
  }

  testing::TemporaryDirectory directory_;
  const std::string file_ = directory_ / "file";
};

TEST_F(TrustTest, TheOwnerAndTheOwnGroupMayWrite) {
  EXPECT_EQ(said(file_, 0664), "");
  EXPECT_EQ(said(directory_.path(), 0775), "");
}

TEST_F(TrustTest, AnybodyMayNot) {
  for (const mode_t mode : {0602, 0666}) EXPECT_THAT(said(file_, mode), HasSubstr("chmod go-w "));
  EXPECT_THAT(said(directory_.path(), 0777), HasSubstr(directory_.path()));
  EXPECT_THAT(said(directory_.path(), 01777), HasSubstr(directory_.path()))
      << "whoever may add a file to it is not told by its being sticky";
}

TEST_F(TrustTest, ALinkIsWhatItLeadsTo) {
  const std::string link = directory_ / "link";
  ASSERT_EQ(::symlink(file_.c_str(), link.c_str()), 0);
  EXPECT_TRUE(refuseWritableByOthers(link).ok()) << "every link has the mode 0777";
  EXPECT_THAT(said(link, 0666), HasSubstr(link));
}

TEST_F(TrustTest, OfAnotherUserOrGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs the right to change owners";
  give(file_, kOther, 0);
  EXPECT_THAT(said(file_, 0400), HasSubstr("user 65534 owns " + file_ + ": chown root"));
  give(file_, 0, kOther);
  EXPECT_EQ(said(file_, 0644), "");
  EXPECT_THAT(said(file_, 0664), HasSubstr("others than root may write to " + file_));
  give(directory_.path(), 0, kOther);
  EXPECT_THAT(said(directory_.path(), 0775), HasSubstr("others than root may write to "));
}

TEST_F(TrustTest, WhatIsNeitherFileNorFolderOrNotThere) {
  EXPECT_TRUE(refuseWritableByOthers("/dev/null").ok());
  EXPECT_TRUE(refuseWritableByOthers(directory_ / "missing").ok());
}

}  // namespace
}  // namespace berth::common
