// What the extractor makes of entries that replace, hide, or try to get out.
#include "berth/untar/extract.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "plugin_under_test.hpp"
#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Extract : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::mkdir(root_.c_str(), 0755), 0); }

  absl::Status run(const TarWriter& writer, untar::ExtractOptions options = {}) {
    const support::Fd root(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const std::string archive = writer.finish();
    auto result = untar::extractLayer(root.get(), piecesOf(archive), options);
    if (!result.ok()) return result.status();
    result_ = *std::move(result);
    return absl::OkStatus();
  }
  std::string content(const std::string& name) {
    return support::readFile(root_ + "/" + name).value_or("<none>");
  }
  struct stat stat(const std::string& name) {
    struct stat info = {};
    EXPECT_EQ(::lstat((root_ + "/" + name).c_str(), &info), 0) << name;
    return info;
  }
  bool isWhiteout(const std::string& name) {
    const struct stat info = stat(name);
    return S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0);
  }
  bool isOpaque(const std::string& name) {
    char value = 0;
    return ::lgetxattr((root_ + "/" + name).c_str(), "trusted.overlay.opaque", &value, 1) == 1 &&
           value == 'y';
  }

  Scratch scratch_;
  std::string root_ = scratch_ / "layer";
  untar::ExtractResult result_;
};

TEST_F(Extract, NamesAreTakenFromTheRoot) {
  TarWriter writer;
  writer.file("/absolute", "a").file("./dotted", "b").file("x/../plain", "c").file("//d//e", "d");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_EQ(content("absolute"), "a");
  EXPECT_EQ(content("dotted"), "b");
  EXPECT_EQ(content("plain"), "c");
  EXPECT_EQ(content("d/e"), "d");
}

class Escapes : public Extract, public testing::WithParamInterface<const char*> {};
TEST_P(Escapes, AreRefusedByName) {
  const absl::Status file = run(TarWriter().file(GetParam(), "x"));
  EXPECT_TRUE(absl::IsInvalidArgument(file)) << file;
  EXPECT_THAT(file.message(), HasSubstr(GetParam()));
  const absl::Status link = run(TarWriter().hardLink("link", GetParam()));
  EXPECT_TRUE(absl::IsInvalidArgument(link)) << link;
  EXPECT_FALSE(support::pathExists(scratch_ / "escaped"));
}
INSTANTIATE_TEST_SUITE_P(Names, Escapes,
                         testing::Values("../escaped", "/../escaped", "a/../../escaped", "..",
                                         "./../layer/../escaped"));

TEST_F(Extract, LinksInAPathStayInside) {
  ASSERT_EQ(::mkdir((scratch_ / "outside").c_str(), 0755), 0);
  TarWriter writer;
  writer.symlink("absolute", scratch_ / "outside").file("absolute/one", "1");
  writer.symlink("up", "../../../../outside").file("up/two", "2");
  writer.directory("real").symlink("inside", "real").file("inside/three", "3");
  writer.hardLink("inside/four", "inside/three");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_TRUE(support::listDirectory(scratch_ / "outside")->empty());
  EXPECT_EQ(content(scratch_.path().substr(1) + "/outside/one"), "1");
  EXPECT_EQ(content("outside/two"), "2");
  EXPECT_EQ(content("real/three"), "3");
  EXPECT_EQ(stat("real/four").st_ino, stat("real/three").st_ino);
}

TEST_F(Extract, ALinkIsNotWrittenThrough) {
  ASSERT_TRUE(
      support::replaceFile(scratch_ / "victim", "safe", 0644, support::Durability::kVisible).ok());
  TarWriter writer;
  writer.symlink("f", scratch_ / "victim").file("f", "attack");
  writer.symlink("d", scratch_.path()).directory("d", 0700);
  ASSERT_TRUE(run(writer).ok());
  EXPECT_EQ(*support::readFile(scratch_ / "victim"), "safe");
  EXPECT_EQ(content("f"), "attack");
  EXPECT_TRUE(S_ISDIR(stat("d").st_mode));
}

TEST_F(Extract, DirectoryTimesDoNotFollowReplacedPaths) {
  ASSERT_EQ(::mkdir((scratch_ / "outside").c_str(), 0755), 0);
  ASSERT_EQ(::mkdir((scratch_ / "outside/b").c_str(), 0755), 0);
  struct stat before = {};
  ASSERT_EQ(::stat((scratch_ / "outside/b").c_str(), &before), 0);
  TarWriter writer;
  writer.directory("a").directory("a/b").symlink("a", scratch_ / "outside");
  ASSERT_TRUE(run(writer).ok());
  struct stat after = {};
  ASSERT_EQ(::stat((scratch_ / "outside/b").c_str(), &after), 0);
  EXPECT_EQ(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
}

TEST_F(Extract, LoopsAndFilesInAPathAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(
      run(TarWriter().symlink("a", "b").symlink("b", "a").file("a/x", "x"))));
  EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().file("f", "").file("f/x", "x"))));
  EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().file(".", "x"))));
  EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().hardLink("l", "missing/file"))));
  EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().directory("d").hardLink("l2", "d"))));
  EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().file(std::string(99, 'n') + "/", ""))) ==
              false);
  TarWriter longName;
  longName.pax({{"path", std::string(300, 'n')}}).file("x", "");
  EXPECT_TRUE(absl::IsInvalidArgument(run(longName)));
}

TEST_F(Extract, LaterEntriesReplaceEarlierOnes) {
  TarWriter writer;
  writer.file("f", "one").hardLink("keep", "f").file("f", "two");
  writer.directory("d").file("d/x", "x").file("d", "now a file");
  writer.file("e", "file").directory("e").file("e/y", "y");
  writer.directory("m", 0700).file("m/z", "z").directory("m", 0711);
  writer.hardLink("self", "keep").hardLink("self", "self");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_EQ(content("f"), "two");
  EXPECT_EQ(content("keep"), "one");
  EXPECT_EQ(content("d"), "now a file");
  EXPECT_EQ(content("e/y"), "y");
  EXPECT_EQ(content("m/z"), "z") << "a directory keeps its content";
  EXPECT_EQ(stat("m").st_mode & 07777, 0711u);
  EXPECT_EQ(content("self"), "one");
}

TEST_F(Extract, WhiteoutsTakeTheKernelsForm) {
  TarWriter writer;
  writer.directory("d").file("d/.wh.gone", "").file("d/.wh..wh..opq", "");
  writer.file(".wh..wh.plnk/1.2", "").file("d/.wh..wh.aufs", "");
  writer.file(".wh.back", "").directory("back");  // hidden below, new here
  writer.directory("late").file(".wh.late", "");  // the other way round
  writer.file("file", "here").file(".wh.file", "");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_TRUE(isWhiteout("d/gone"));
  EXPECT_TRUE(isOpaque("d"));
  EXPECT_TRUE(isOpaque("back"));
  EXPECT_TRUE(isOpaque("late"));
  EXPECT_EQ(content("file"), "here");
  EXPECT_FALSE(support::pathExists(root_ + "/.wh..wh.plnk"));
  EXPECT_THAT(*support::listDirectory(root_ + "/d"), ElementsAre("gone"));
  for (const char* bad : {".wh.", ".wh..", ".wh...", "d/.wh."})
    EXPECT_TRUE(absl::IsInvalidArgument(run(TarWriter().file(bad, "")))) << bad;
}

TEST_F(Extract, BelowAFileThereIsNothingToWhiteOut) {
  TarWriter writer;
  writer.file("d", "now a file").file("d/.wh.gone", "").file("d/.wh..wh..opq", "");
  writer.file("d/deeper/.wh.gone", "").file("after", "x");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_EQ(content("d"), "now a file");
  EXPECT_EQ(content("after"), "x");
  EXPECT_THAT(*support::listDirectory(root_), testing::UnorderedElementsAre("after", "d"));
}

TEST_F(Extract, AttributesThatWouldSteerTheMountAreLeftOut) {
  TarWriter writer;
  writer.pax({{"SCHILY.xattr.trusted.overlay.opaque", "y"},
              {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
              {"SCHILY.xattr.security.selinux", "system_u:object_r:etc_t:s0"},
              {"SCHILY.xattr.trusted.kept", "k"}});
  writer.directory("d");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_FALSE(isOpaque("d"));
  char value[8] = {};
  EXPECT_LT(::getxattr((root_ + "/d").c_str(), "trusted.overlay.redirect", value, 8), 0);
  EXPECT_EQ(::getxattr((root_ + "/d").c_str(), "trusted.kept", value, 8), 1);
}

TEST_F(Extract, SetGroupDirectoriesDoNotRubOff) {
  TarWriter writer;
  writer.entry({.name = "g", .type = '5', .mode = 02775, .gid = 50});
  writer.file("g/file", "x").symlink("g/link", "x").file("g/implied/file", "y");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_EQ(stat("g").st_mode & 07777, 02775u);
  EXPECT_EQ(stat("g").st_gid, 50u);
  EXPECT_EQ(stat("g/file").st_gid, 0u);
  EXPECT_EQ(stat("g/link").st_gid, 0u);
  EXPECT_EQ(stat("g/implied").st_gid, 0u);
  EXPECT_EQ(stat("g/implied").st_mode & 07777, 0755u);
}

TEST_F(Extract, TellsWhichDirectoriesAreImplied) {
  TarWriter writer;
  writer.file("a/b/f", "x").directory("a/b").file("c/f", "y");
  ASSERT_TRUE(run(writer).ok());
  EXPECT_THAT(result_.impliedDirectories, ElementsAre("", "a", "c"));
}

// A path of so many directories.
std::string deep(size_t directories) {
  std::string path;
  for (size_t i = 0; i < directories; ++i) path += "a/";
  return path;
}

TEST_F(Extract, ImpliedDirectoriesAreBounded) {
  TarWriter writer;
  for (const char* top : {"x/", "y/", "z/"})
    writer.pax({{"path", top + deep(2000) + "f"}}).file("f", "");
  const absl::Status status = run(writer);
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("directories that it does not describe"));
}

TEST_F(Extract, DescribedDirectoriesDoNotCountAsImplied) {
  TarWriter writer;
  for (const char* top : {"x/", "y/", "z/"}) {
    writer.pax({{"path", top + deep(2000) + "f"}}).file("f", "");
    for (size_t depth = 1000; depth <= 2000; ++depth)
      writer.pax({{"path", top + deep(depth)}}).directory("d");
  }
  const absl::Status status = run(writer);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(result_.impliedDirectories.size(), 1u + 3 * 1000);
}

TEST_F(Extract, LinksDoNotLeadDeeperThanAPathCanSay) {
  TarWriter writer;
  writer.pax({{"linkpath", deep(1500)}}).symlink("s", "x").file("s/f", "");
  writer.pax({{"linkpath", deep(1500)}}).symlink("s/t", "x").file("s/t/f", "");
  const absl::Status status = run(writer);
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_THAT(status.message(), HasSubstr("deeper than a path can say"));
}

TEST_F(Extract, OwnersThatDoNotExistAreRefused) {
  TarWriter writer;
  writer.pax({{"uid", "4294967295"}}).file("f", "");
  EXPECT_TRUE(absl::IsInvalidArgument(run(writer)));
}

TEST_F(Extract, LimitsHold) {
  TarWriter writer;
  for (int i = 0; i < 10; ++i) writer.file("f" + std::to_string(i), std::string(5000, 'x'));
  EXPECT_TRUE(absl::IsResourceExhausted(run(writer, {.maximumEntries = 9})));
  EXPECT_TRUE(absl::IsResourceExhausted(run(writer, {.maximumArchiveBytes = 20000})));
  EXPECT_TRUE(run(writer, {.maximumArchiveBytes = 1u << 20, .maximumEntries = 10}).ok());
}

}  // namespace
}  // namespace berth::test
