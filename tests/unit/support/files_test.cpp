#include "berth/support/files.hpp"

#include <atomic>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "temporary_directory.hpp"

namespace berth::support {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

mode_t modeOf(const std::string& path) {
  struct stat info = {};
  EXPECT_EQ(::lstat(path.c_str(), &info), 0) << path;
  return info.st_mode;
}

class FilesTest : public ::testing::Test {
 protected:
  berth::testing::TemporaryDirectory directory_;
};

TEST_F(FilesTest, OpenClosesOnExecAndNamesThePath) {
  const auto file = openFile(directory_ / "a", O_RDWR | O_CREAT);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(::fcntl(file->get(), F_GETFD), FD_CLOEXEC);
  const auto missing = openFile(directory_ / "b", O_RDONLY);
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr(directory_ / "b"));
}

TEST_F(FilesTest, ReadsWholeFiles) {
  const std::string big(3 * 1024 * 1024 + 17, 'x');
  ASSERT_TRUE(replaceFile(directory_ / "big", big, 0600, Durability::kVisible).ok());
  EXPECT_EQ(*readFile(directory_ / "big"), big);
  EXPECT_EQ(*readFile(directory_ / "big", big.size()), big);
  const auto over = readFile(directory_ / "big", big.size() - 1);
  EXPECT_EQ(over.status().code(), absl::StatusCode::kResourceExhausted);
  ASSERT_TRUE(replaceFile(directory_ / "empty", "", 0600, Durability::kVisible).ok());
  EXPECT_EQ(*readFile(directory_ / "empty"), "");
  EXPECT_EQ(*readFile(directory_ / "empty", 0), "");
}

TEST_F(FilesTest, ReadsProcWhoseSizesAreZero) {
  EXPECT_THAT(*readFile("/proc/self/status"), HasSubstr("VmRSS"));
  EXPECT_EQ(readFile("/proc/self/status", 10).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST_F(FilesTest, ReadingADirectoryFails) {
  EXPECT_THAT(std::string(readFile(directory_.path()).status().message()),
              HasSubstr("Is a directory"));
}

TEST_F(FilesTest, ControlFilesAreNeitherCreatedNorTruncated) {
  EXPECT_EQ(writeControlFile(directory_ / "none", "1").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(pathExists(directory_ / "none"));
  ASSERT_TRUE(replaceFile(directory_ / "file", "abcdef", 0600, Durability::kVisible).ok());
  ASSERT_TRUE(writeControlFile(directory_ / "file", "XY").ok());
  EXPECT_EQ(*readFile(directory_ / "file"), "XYcdef");
  const absl::Status full = writeControlFile("/dev/full", "value");
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(full.message()), HasSubstr("write \"value\" to /dev/full"));
}

TEST_F(FilesTest, ReplaceSetsTheExactModeAndLeavesNothingBeside) {
  const mode_t before = ::umask(077);
  ASSERT_TRUE(replaceFile(directory_ / "file", "one", 0664, Durability::kDurable).ok());
  ::umask(before);
  EXPECT_EQ(modeOf(directory_ / "file") & 07777, 0664u);
  ASSERT_TRUE(replaceFile(directory_ / "file", "two", 0600, Durability::kVisible).ok());
  EXPECT_EQ(*readFile(directory_ / "file"), "two");
  EXPECT_EQ(modeOf(directory_ / "file") & 07777, 0600u);
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre("file"));
}

TEST_F(FilesTest, ReplaceReplacesALinkNotItsTarget) {
  ASSERT_TRUE(replaceFile(directory_ / "target", "old", 0600, Durability::kVisible).ok());
  ASSERT_EQ(::symlink("target", (directory_ / "link").c_str()), 0);
  ASSERT_TRUE(replaceFile(directory_ / "link", "new", 0600, Durability::kVisible).ok());
  EXPECT_EQ(*readFile(directory_ / "target"), "old");
  EXPECT_TRUE(S_ISREG(modeOf(directory_ / "link")));
}

TEST_F(FilesTest, FailedReplaceLeavesNothing) {
  ASSERT_TRUE(makeDirectories(directory_ / "folder/inner").ok());
  EXPECT_FALSE(replaceFile(directory_ / "folder", "x", 0600, Durability::kDurable).ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre("folder"));
  EXPECT_EQ(replaceFile(directory_ / "no/file", "x", 0600, Durability::kVisible).code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(replaceFile(directory_.path() + "/", "x", 0600, Durability::kVisible).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(FilesTest, ReplaceTakesTheLongestNames) {
  const std::string name(255, 'n');
  ASSERT_TRUE(replaceFile(directory_ / name, "x", 0600, Durability::kVisible).ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre(name));
}

TEST_F(FilesTest, ReadersNeverSeeAPart) {
  const std::string path = directory_ / "file";
  const std::string a(100'000, 'a');
  const std::string b(50'000, 'b');
  ASSERT_TRUE(replaceFile(path, a, 0600, Durability::kVisible).ok());
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int i = 0; i < 200; ++i)
      EXPECT_TRUE(replaceFile(path, i % 2 == 0 ? b : a, 0600, Durability::kVisible).ok());
    done = true;
  });
  while (!done) {
    const auto content = readFile(path);
    ASSERT_TRUE(content.ok()) << content.status();
    ASSERT_TRUE(*content == a || *content == b);
  }
  writer.join();
}

TEST_F(FilesTest, TemporariesOfReplacementsThatWereCutOffAreRemoved) {
  ASSERT_TRUE(replaceFile(directory_ / "file", "kept", 0600, Durability::kVisible).ok());
  for (const char* name : {".file.0123456789abcdef.tmp", ".hidden", "plain.tmp"})
    ASSERT_TRUE(openFile(directory_ / name, O_WRONLY | O_CREAT).ok());
  EXPECT_TRUE(removeTemporaries(directory_.path()).ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre(".hidden", "file", "plain.tmp"));
  EXPECT_TRUE(removeTemporaries(directory_ / "missing").ok());
}

TEST_F(FilesTest, MakesDirectories) {
  ASSERT_TRUE(makeDirectories(directory_ / "a//b/c/").ok());
  ASSERT_TRUE(makeDirectories(directory_ / "a/b/c").ok());
  EXPECT_TRUE(S_ISDIR(modeOf(directory_ / "a/b/c")));
  ASSERT_TRUE(makeDirectories(directory_ / "private", 0700).ok());
  EXPECT_EQ(modeOf(directory_ / "private") & 07777, 0700u);
  ASSERT_TRUE(makeDirectories(directory_ / "private", 0755).ok());
  EXPECT_EQ(modeOf(directory_ / "private") & 07777, 0700u);
  EXPECT_TRUE(makeDirectories("/").ok());
  ASSERT_TRUE(replaceFile(directory_ / "file", "", 0600, Durability::kVisible).ok());
  EXPECT_THAT(std::string(makeDirectories(directory_ / "file/x").message()),
              HasSubstr("Not a directory"));
  EXPECT_FALSE(makeDirectories(directory_ / "file").ok());
  EXPECT_FALSE(makeDirectories("").ok());
}

TEST_F(FilesTest, MakingTheSameDirectoriesAtOnceWorks) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([this] {
      for (int n = 0; n < 50; ++n)
        EXPECT_TRUE(makeDirectories(directory_ / (std::to_string(n) + "/x/y/z")).ok());
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(FilesTest, RemovePath) {
  ASSERT_TRUE(makeDirectories(directory_ / "a/b").ok());
  EXPECT_TRUE(removePath(directory_ / "missing").ok());
  EXPECT_TRUE(removePath(directory_ / "missing/x").ok());
  EXPECT_FALSE(removePath(directory_ / "a").ok());
  EXPECT_TRUE(removePath(directory_ / "a/b").ok());
  EXPECT_TRUE(removePath(directory_ / "a").ok());
  ASSERT_EQ(::symlink("/nowhere", (directory_ / "link").c_str()), 0);
  EXPECT_FALSE(pathExists(directory_ / "link"));
  EXPECT_TRUE(removePath(directory_ / "link").ok());
  EXPECT_TRUE(listDirectory(directory_.path())->empty());
}

TEST_F(FilesTest, ListsSorted) {
  for (const char* name : {"b", "a", ".hidden", "c"})
    ASSERT_TRUE(replaceFile(directory_ / name, "", 0600, Durability::kVisible).ok());
  EXPECT_THAT(*listDirectory(directory_.path()), ElementsAre(".hidden", "a", "b", "c"));
  EXPECT_EQ(listDirectory(directory_ / "none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(FilesTest, WriteAllReportsFailure) {
  const auto full = openFile("/dev/full", O_WRONLY);
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(writeAll(full->get(), "x").code(), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(writeAll(full->get(), "").ok());
}

}  // namespace
}  // namespace berth::support
