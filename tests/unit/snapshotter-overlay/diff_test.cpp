#include "diff.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "tar_writer.hpp"

namespace berth::overlay {
namespace {

namespace fs = std::filesystem;
using ::testing::UnorderedElementsAre;

// Directories as the kernel's overlay leaves them.
class DiffTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "SKIPPED: whiteouts need root";
    for (const char* layer : {"upper", "middle", "lower"}) fs::create_directory(folder_ / layer);
  }

  void file(const std::string& path, const std::string& text = "x") {
    fs::create_directories(fs::path(folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  void whiteout(const std::string& path) {
    fs::create_directories(fs::path(folder_ / path).parent_path());
    ASSERT_EQ(::mknod((folder_ / path).c_str(), S_IFCHR | 0600, makedev(0, 0)), 0);
  }
  void attribute(const std::string& path, const char* name, const std::string& value) {
    ASSERT_EQ(::lsetxattr((folder_ / path).c_str(), name, value.data(), value.size(), 0), 0);
  }
  void opaque(const std::string& path) { attribute(path, "trusted.overlay.opaque", "y"); }

  absl::Status write(DiffStack stack) {
    for (std::string& path : stack.above) path = folder_ / path;
    for (std::string& path : stack.below) path = folder_ / path;
    archive_.clear();
    untar::TarWriter tar([this](std::string_view piece) {
      archive_ += piece;
      return absl::OkStatus();
    });
    return writeDiff(stack, tar, [] { return absl::OkStatus(); });
  }
  std::map<std::string, test::ReadEntry> diff(DiffStack stack = {.above = {"upper"},
                                                                 .below = {"middle", "lower"}}) {
    const absl::Status status = write(std::move(stack));
    EXPECT_TRUE(status.ok()) << status;
    const auto entries = test::readAll(archive_);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::map<std::string, test::ReadEntry> result;
    if (!entries.ok()) return result;
    for (const test::ReadEntry& read : *entries) result[read.entry.name] = read;
    return result;
  }
  static std::vector<std::string> names(const std::map<std::string, test::ReadEntry>& entries) {
    std::vector<std::string> result;
    for (const auto& [name, read] : entries) result.push_back(name);
    return result;
  }

  berth::testing::TemporaryDirectory folder_;
  std::string archive_;
};

TEST_F(DiffTest, WhatIsAboveAndNothingElse) {
  file("lower/etc/old");
  file("upper/etc/new", "text");
  file("upper/top");
  const auto entries = diff();
  EXPECT_THAT(names(entries), UnorderedElementsAre("etc/", "etc/new", "top"));
  EXPECT_EQ(entries.at("etc/new").data, "text");
}

TEST_F(DiffTest, WhatIsRemoved) {
  file("lower/etc/gone");
  file("lower/etc/stays");
  whiteout("upper/etc/gone");
  whiteout("upper/etc/never-was");
  EXPECT_THAT(names(diff()), UnorderedElementsAre("etc/", "etc/.wh.gone"));
}

TEST_F(DiffTest, AnOpaqueDirectoryRemovesEachThingBelow) {
  file("lower/d/a");
  file("lower/d/sub/b");
  file("middle/d/c");
  whiteout("middle/d/a");
  file("upper/d/new");
  opaque("upper/d");
  // What a layer below has removed already is not removed again.
  EXPECT_THAT(names(diff()), UnorderedElementsAre("d/", "d/new", "d/.wh.sub", "d/.wh.c"));
}

TEST_F(DiffTest, BelowAnOpaqueDirectoryNothingShowsThrough) {
  file("lower/d/sub/old");
  file("upper/d/sub/new");
  opaque("upper/d");
  EXPECT_THAT(names(diff()), UnorderedElementsAre("d/", "d/sub/", "d/sub/new", "d/sub/.wh.old"));
}

TEST_F(DiffTest, AFileInTheWayOfADirectory) {
  file("lower/d/old");
  file("middle/d", "a file");
  file("upper/d/new");
  opaque("upper/d");
  EXPECT_THAT(names(diff()), UnorderedElementsAre("d/", "d/new"));
}

TEST_F(DiffTest, SeveralLayersAboveAreOne) {
  file("lower/a");
  file("lower/b");
  file("middle/c", "of the middle");
  whiteout("middle/a");
  file("middle/gone-again");
  whiteout("upper/gone-again");
  file("upper/d");
  whiteout("upper/b");
  const auto entries = diff({.above = {"upper", "middle"}, .below = {"lower"}});
  EXPECT_THAT(names(entries), UnorderedElementsAre(".wh.a", ".wh.b", "c", "d"));
  EXPECT_EQ(entries.at("c").data, "of the middle");
}

TEST_F(DiffTest, KeepsWhatBelongsToAFile) {
  file("upper/f", "text");
  ASSERT_EQ(::chown((folder_ / "upper/f").c_str(), 100'005, 100'006), 0);
  ASSERT_EQ(::chmod((folder_ / "upper/f").c_str(), 04755), 0);
  attribute("upper/f", "trusted.note", "n");
  attribute("upper/f", "trusted.overlay.origin", "the mount's own");
  fs::create_symlink("/nowhere", folder_ / "upper/link");
  fs::create_hard_link(folder_ / "upper/f", folder_ / "upper/hard");
  ASSERT_EQ(::mknod((folder_ / "upper/null").c_str(), S_IFCHR | 0666, makedev(1, 3)), 0);
  const auto entries = diff({.above = {"upper"},
                             .below = {"lower"},
                             .uids = {{.inside = 0, .outside = 100'000, .length = 1000}},
                             .gids = {{.inside = 0, .outside = 100'000, .length = 1000}}});
  EXPECT_THAT(names(entries), UnorderedElementsAre("f", "hard", "link", "null"));
  const untar::Entry& kept = entries.at("f").entry;
  EXPECT_EQ(kept.uid, 5u);
  EXPECT_EQ(kept.gid, 6u);
  EXPECT_EQ(entries.at("link").entry.linkTarget, "/nowhere");
  EXPECT_EQ(entries.at("null").entry.deviceMinor, 3u);
  // One of the two is a link to the other; both have the mode and the attribute of the file.
  const bool first = kept.type == untar::EntryType::kRegular;
  const untar::Entry& whole = first ? kept : entries.at("hard").entry;
  const untar::Entry& link = first ? entries.at("hard").entry : kept;
  EXPECT_EQ(link.type, untar::EntryType::kHardLink);
  EXPECT_EQ(link.linkTarget, whole.name);
  EXPECT_EQ(whole.mode, 04755u);
  EXPECT_EQ(whole.xattrs, (std::vector<untar::Xattr>{{"trusted.note", "n"}}));
}

TEST_F(DiffTest, AFileOfHolesStaysSmall) {
  file("upper/holes", "begin");
  ASSERT_EQ(::truncate((folder_ / "upper/holes").c_str(), 1 << 28), 0);
  ASSERT_TRUE(write({.above = {"upper"}, .below = {"lower"}}).ok());
  EXPECT_LT(archive_.size(), 1u << 20);
  untar::TarReader reader(test::piecesOf(archive_));
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.size, 1u << 28);
}

TEST_F(DiffTest, RefusesDirectoriesRenamedByReference) {
  file("upper/d/f");
  attribute("upper/d", "trusted.overlay.redirect", "/elsewhere");
  EXPECT_EQ(write({.above = {"upper"}, .below = {"lower"}}).code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST_F(DiffTest, EndsWhenItIsNoLongerWanted) {
  file("upper/f");
  untar::TarWriter tar([](std::string_view) { return absl::OkStatus(); });
  const auto cancelled = [] { return absl::CancelledError("not wanted"); };
  EXPECT_EQ(writeDiff({.above = {folder_ / "upper"}}, tar, cancelled).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace berth::overlay
