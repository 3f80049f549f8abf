#include "engine/relabel.hpp"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

namespace berth::engine {
namespace {

namespace fs = std::filesystem;

// Who may set security attributes tests with the real one.
const char* attribute() {
  return ::geteuid() == 0 ? "security.selinux" : "user.label";
}

struct Relabel : ::testing::Test {
  Relabel() {
    fs::create_directories(folder / "v/a/b/c");
    std::ofstream(folder / "v/file") << "x";
    std::ofstream(folder / "v/a/b/c/deep") << "x";
    std::ofstream(folder / "outside") << "x";
    fs::create_symlink(folder / "outside", folder / "v/link");
    fs::create_directory_symlink(folder.path(), folder / "v/a/up");
  }

  absl::Status label(const std::string& label, const std::string& path = "v") {
    return relabel(folder / path,
                   {.label = label, .check = [this] { return checks; }, .attribute = attribute()});
  }
  std::string labelOf(const std::string& path) {
    char text[256];
    const ssize_t size = ::lgetxattr((folder / path).c_str(), attribute(), text, sizeof text);
    return size < 0 ? "" : std::string(text, static_cast<size_t>(size));
  }

  berth::testing::TemporaryDirectory folder;
  absl::Status checks;
};

TEST_F(Relabel, ReachesEverythingAndNothingElse) {
  ASSERT_TRUE(label("u:r:t:s0:c1,c2").ok());
  for (const char* path : {"v", "v/file", "v/a", "v/a/b", "v/a/b/c", "v/a/b/c/deep"})
    EXPECT_EQ(labelOf(path), "u:r:t:s0:c1,c2") << path;
  EXPECT_EQ(labelOf("outside"), "");
  EXPECT_EQ(labelOf(""), "");
}

TEST_F(Relabel, LinksAreLabelledThemselves) {
  if (::geteuid() != 0) GTEST_SKIP() << "attributes of links are for root";
  ASSERT_TRUE(label("new").ok());
  EXPECT_EQ(labelOf("v/link"), "new");
  EXPECT_EQ(labelOf("v/a/up"), "new");
}

TEST_F(Relabel, ARightRootMeansThatAllIsDone) {
  ASSERT_TRUE(label("same").ok());
  ::removexattr((folder / "v/file").c_str(), attribute());
  ASSERT_TRUE(label("same").ok());
  EXPECT_EQ(labelOf("v/file"), "");
  // The kernel's own answer ends with a zero.
  ASSERT_EQ(::setxattr((folder / "v").c_str(), attribute(), "zero", 5, 0), 0);
  ASSERT_TRUE(label("zero").ok());
  EXPECT_EQ(labelOf("v/a"), "same");
}

TEST_F(Relabel, TheRootIsLabelledLast) {
  for (int i = 0; i < 600; ++i) std::ofstream(folder / ("v/f" + std::to_string(i))) << "";
  checks = absl::CancelledError("enough");
  EXPECT_EQ(label("cut").code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(labelOf("v"), "");
  checks = absl::OkStatus();
  ASSERT_TRUE(label("cut").ok());
  EXPECT_EQ(labelOf("v/f599"), "cut");
  EXPECT_EQ(labelOf("v"), "cut");
}

TEST_F(Relabel, SingleFilesAndDeepTrees) {
  ASSERT_TRUE(label("one", "v/file").ok());
  EXPECT_EQ(labelOf("v/file"), "one");
  EXPECT_EQ(labelOf("v"), "");
  std::string deep = folder / "v";
  for (int i = 0; i < 500; ++i) deep += "/d";
  fs::create_directories(deep);
  ASSERT_TRUE(label("two").ok());
  char text[16];
  EXPECT_EQ(::lgetxattr(deep.c_str(), attribute(), text, sizeof text), 3);
}

TEST_F(Relabel, DirectoriesOfTheHostAreRefused) {
  for (const char* path : {"/", "/etc", "/usr/", "/var/lib", "//"}) {
    const absl::Status status = relabel(path, {.label = "x", .attribute = "user.none"});
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(status.ToString(), ::testing::HasSubstr("is refused")) << path;
  }
}

TEST_F(Relabel, WhatTheKernelShowsIsLeftAlone) {
  EXPECT_TRUE(relabel("/proc/1/ns", {.label = "x"}).ok());
  EXPECT_TRUE(relabel("/sys/kernel", {.label = "x"}).ok());
}

TEST_F(Relabel, WhatIsMissingOrALinkIsAnError) {
  EXPECT_EQ(label("x", "none").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(label("x", "v/link").code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace berth::engine
