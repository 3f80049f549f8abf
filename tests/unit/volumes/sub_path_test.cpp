#include "engine/volumes/sub_path.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"

namespace berth::volumes {
namespace {

class SubPath : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = directory_ / "image";
    ASSERT_TRUE(support::makeDirectories(root_ + "/a/b").ok());
    ASSERT_TRUE(support::makeDirectories(directory_ / "outside").ok());
    ASSERT_TRUE(
        support::replaceFile(root_ + "/a/file", "", 0644, support::Durability::kVisible).ok());
    link("relative", "a/b");
    link("absolute", "/a/b");
    link("up", "../outside");
    link("host", directory_ / "outside");
    link("self", "/proc/self/root");
    link("loop", "loop");
    ASSERT_EQ(::mkfifo((root_ + "/pipe").c_str(), 0600), 0);
  }
  void link(const std::string& name, const std::string& target) {
    ASSERT_EQ(::symlink(target.c_str(), (root_ + "/" + name).c_str()), 0);
  }
  std::string found(const std::string& path) {
    auto result = resolveSubPath(root_, path);
    return result.ok() ? result->substr(result->find("/image") + 6) : result.status().ToString();
  }
  absl::StatusCode code(const std::string& path) {
    return resolveSubPath(root_, path).status().code();
  }

  testing::TemporaryDirectory directory_;
  std::string root_;
};

TEST_F(SubPath, LeadsToWhatIsThere) {
  for (const char* const path : {"a/b", "a//b/", "./a/./b", "relative", "absolute"})
    EXPECT_EQ(found(path), "/a/b") << path;
  EXPECT_EQ(found("a/file"), "/a/file");
  EXPECT_EQ(found("."), "");
}

TEST_F(SubPath, NeverLeadsOut) {
  for (const char* const path : {"up", "host", "self"})
    EXPECT_EQ(code(path), absl::StatusCode::kNotFound) << path << " " << found(path);
  EXPECT_EQ(code("a/.."), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code("/a"), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(code(std::string("a\0b", 3)), absl::StatusCode::kInvalidArgument);
}

TEST_F(SubPath, MustExistAndBeMountable) {
  EXPECT_EQ(code("none"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("a/file/below"), absl::StatusCode::kNotFound);
  EXPECT_EQ(code("pipe"), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(resolveSubPath(root_, "loop").ok());
}

}  // namespace
}  // namespace berth::volumes
