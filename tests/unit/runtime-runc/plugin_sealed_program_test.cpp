#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "sealed_program.hpp"

namespace berth::runc {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

class SealedProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "berth-sealed-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    program_ = directory_ + "/runtime";
    std::filesystem::copy_file("/proc/self/exe", program_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  std::string content(const std::string& path) { return *support::readFile(path); }

  std::string directory_;
  std::string program_;
  SealedProgram sealed_;
};

TEST_F(SealedProgramTest, IsTheProgramAndCannotBeWritten) {
  const std::string copy = sealed_.pathOf(program_);
  ASSERT_THAT(copy, Not(IsEmpty()));
  EXPECT_EQ(content(copy), content(program_));
  const support::Fd file(open(copy.c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(fcntl(file.get(), F_GET_SEALS),
            F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  struct stat ours = {};
  struct stat theirs = {};
  ASSERT_EQ(fstat(file.get(), &ours), 0);
  ASSERT_EQ(stat(program_.c_str(), &theirs), 0);
  EXPECT_EQ(ours.st_mtim.tv_sec, theirs.st_mtim.tv_sec);
  EXPECT_EQ(ours.st_mtim.tv_nsec, theirs.st_mtim.tv_nsec);
  const support::Fd writer(open(copy.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(!writer || write(writer.get(), "x", 1) < 0);
}

TEST_F(SealedProgramTest, IsMadeOnceAndAgainWhenTheFileChanges) {
  const std::string first = sealed_.pathOf(program_);
  struct stat one = {};
  ASSERT_EQ(stat(first.c_str(), &one), 0);
  struct stat same = {};
  ASSERT_EQ(stat(sealed_.pathOf(program_).c_str(), &same), 0);
  EXPECT_EQ(one.st_ino, same.st_ino);

  std::ofstream(program_, std::ios::app) << "newer";
  EXPECT_EQ(content(sealed_.pathOf(program_)), content(program_));
}

TEST_F(SealedProgramTest, ThereIsNoneOfAScriptNorOfNothing) {
  std::ofstream(program_, std::ios::trunc) << "#!/bin/sh\nexec runc \"$@\"\n";
  EXPECT_THAT(sealed_.pathOf(program_), IsEmpty());
  EXPECT_THAT(sealed_.pathOf(directory_ + "/missing"), IsEmpty());
  EXPECT_THAT(sealed_.pathOf(directory_), IsEmpty());
  std::filesystem::copy_file("/proc/self/exe", program_,
                             std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(sealed_.pathOf(program_), Not(IsEmpty()));
}

}  // namespace
}  // namespace berth::runc
