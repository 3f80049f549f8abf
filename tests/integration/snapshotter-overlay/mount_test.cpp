// Snapshots mounted for real, in both ways of telling the kernel about layers.
#include <fcntl.h>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "plugin_under_test.hpp"
#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

size_t openDescriptors() {
  return support::listDirectory("/proc/self/fd")->size();
}
// The lines of the mount table about this test's directory: others may mount meanwhile.
std::string mountsBelow(const std::string& path) {
  std::istringstream table(*support::readFile("/proc/self/mountinfo"));
  std::string result;
  for (std::string line; std::getline(table, line);)
    if (line.find(path) != std::string::npos) result += line + "\n";
  return result;
}

class Mounts : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(plugin_.started.ok()) << plugin_.started.message();
    ASSERT_EQ(::mkdir(target_.c_str(), 0755), 0);
  }
  void apply(uint64_t number, const TarWriter& writer) {
    const Status status = plugin_.apply(diffIdOf(number), writer.finish());
    ASSERT_TRUE(status.ok()) << status.message();
  }
  void mountNew(const SnapshotRequest& request) {
    const Status prepared = plugin_.prepare(request);
    ASSERT_TRUE(prepared.ok()) << prepared.message();
    const Status mounted = plugin_.mount(request.key, target_);
    ASSERT_TRUE(mounted.ok()) << mounted.message();
  }
  void unmountAndRemove(const std::string& key) {
    const Status unmounted = plugin_.unmount(key, target_);
    EXPECT_TRUE(unmounted.ok()) << unmounted.message();
    EXPECT_FALSE(*support::isMountPoint(target_));
    const Status removed = plugin_.removeSnapshot(key);
    EXPECT_TRUE(removed.ok()) << removed.message();
  }
  std::string content(const std::string& name) {
    return support::readFile(target_ + "/" + name).value_or("<none>");
  }
  struct stat stat(const std::string& name) {
    struct stat info = {};
    EXPECT_EQ(::lstat((target_ + "/" + name).c_str(), &info), 0) << name;
    return info;
  }

  Scratch scratch_;
  std::string target_ = scratch_ / "target";
  PluginUnderTest plugin_{scratch_ / "root",
                          std::string(R"(, "mount_api": ")") + GetParam() + "\""};
};
INSTANTIATE_TEST_SUITE_P(Apis, Mounts, testing::Values("auto", "names"));

TEST_P(Mounts, LayersHideAndShow) {
  apply(1, TarWriter()
               .directory("d")
               .file("d/old", "1")
               .file("gone", "1")
               .directory("o")
               .file("o/below", "1"));
  apply(2, TarWriter()
               .directory("d")
               .file("d/new", "2")
               .file(".wh.gone", "")
               .directory("o")
               .file("o/.wh..wh..opq", "")
               .file("o/above", "2"));
  mountNew({.key = "s", .layers = {diffIdOf(1), diffIdOf(2)}});
  EXPECT_THAT(*support::listDirectory(target_), ElementsAre("d", "o"));
  EXPECT_THAT(*support::listDirectory(target_ + "/d"), ElementsAre("new", "old"));
  EXPECT_THAT(*support::listDirectory(target_ + "/o"), ElementsAre("above"));
  Usage before;
  ASSERT_TRUE(plugin_.snapshotUsage("s", before).ok());
  std::ofstream(target_ + "/d/old") << std::string(100000, 'x');
  Usage after;
  ASSERT_TRUE(plugin_.snapshotUsage("s", after).ok());
  EXPECT_GE(after.bytes, before.bytes + 100000);
  EXPECT_EQ(after.inodes, before.inodes + 2) << "the directory and the file, copied up";
  EXPECT_EQ(
      *support::readFile(scratch_ / ("root/layers/sha256-" + diffIdOf(1).substr(7) + "/fs/d/old")),
      "1")
      << "the layer itself stays as it was";
  unmountAndRemove("s");
}

TEST(MountOptions, ReachTheKernelAsConfigured) {
  const Scratch scratch;
  const std::string target = scratch / "target";
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  const auto mounted = [&](const std::string& options) {
    PluginUnderTest plugin(scratch / "root", options);
    EXPECT_TRUE(plugin.started.ok()) << plugin.started.message();
    EXPECT_TRUE(plugin.prepare({.key = "s"}).ok());
    EXPECT_TRUE(plugin.mount("s", target).ok());
    std::string line = mountsBelow(target);
    EXPECT_TRUE(plugin.unmount("s", target).ok());
    EXPECT_TRUE(plugin.removeSnapshot("s").ok());
    return line;
  };
  EXPECT_THAT(mounted(""), AllOf(HasSubstr("volatile"), Not(HasSubstr("redirect_dir=on"))));
  EXPECT_THAT(mounted(R"(, "volatile": false, "mount_options": ["redirect_dir=on"])"),
              AllOf(HasSubstr("redirect_dir=on"), Not(HasSubstr("volatile"))));
}

TEST_P(Mounts, CallsMayBeRepeated) {
  apply(1, TarWriter().file("f", "1"));
  const SnapshotRequest request = {.key = "s", .layers = {diffIdOf(1)}};
  mountNew(request);
  EXPECT_TRUE(plugin_.prepare(request).ok());
  const std::string table = mountsBelow(scratch_.path());
  EXPECT_TRUE(plugin_.mount("s", target_).ok());
  EXPECT_EQ(mountsBelow(scratch_.path()), table) << "not mounted twice";
  EXPECT_EQ(plugin_.prepare({.key = "s", .layers = {}}).code(), BERTH_ALREADY_EXISTS);
  const Status removed = plugin_.removeSnapshot("s");
  EXPECT_EQ(removed.code(), BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(removed.message(), HasSubstr(target_));
  std::ofstream(target_ + "/written") << "kept";
  EXPECT_TRUE(plugin_.unmount("s", target_).ok());
  EXPECT_TRUE(plugin_.unmount("s", target_).ok());
  EXPECT_TRUE(plugin_.mount("s", target_).ok()) << "a snapshot can be mounted again";
  EXPECT_EQ(content("written"), "kept");
  unmountAndRemove("s");
  EXPECT_TRUE(plugin_.removeSnapshot("s").ok());
  EXPECT_EQ(plugin_.mount("s", target_).code(), BERTH_NOT_FOUND);
  EXPECT_THAT(plugin_.snapshots(), IsEmpty());
}

TEST_P(Mounts, ViewsAreReadOnly) {
  apply(1, TarWriter().entry({.name = "./", .type = '5', .mode = 0751, .uid = 7}).file("f", "1"));
  for (const std::vector<std::string>& layers :
       {std::vector<std::string>{diffIdOf(1)}, std::vector<std::string>{}}) {
    mountNew({.key = "view", .layers = layers, .readOnly = true});
    EXPECT_EQ(::open((target_ + "/new").c_str(), O_WRONLY | O_CREAT, 0600), -1);
    EXPECT_EQ(errno, EROFS);
    if (!layers.empty()) {
      EXPECT_EQ(content("f"), "1");
      EXPECT_EQ(stat(".").st_mode & 07777, 0751u);
      EXPECT_EQ(stat(".").st_uid, 7u);
    }
    unmountAndRemove("view");
  }
}

TEST_P(Mounts, AnImageWithoutLayersIsAnEmptyRoot) {
  mountNew({.key = "empty"});
  EXPECT_THAT(*support::listDirectory(target_), IsEmpty());
  std::ofstream(target_ + "/f") << "x";
  EXPECT_EQ(content("f"), "x");
  unmountAndRemove("empty");
}

TEST_P(Mounts, TwoHundredLayers) {
  std::vector<std::string> layers;
  for (uint64_t i = 0; i < 200; ++i) {
    apply(i, TarWriter()
                 .file("f" + std::to_string(i), std::to_string(i))
                 .file("top", std::to_string(i)));
    layers.push_back(diffIdOf(i));
  }
  mountNew({.key = "tall", .layers = layers});
  EXPECT_EQ(support::listDirectory(target_)->size(), 201u);
  EXPECT_EQ(content("f0"), "0");
  EXPECT_EQ(content("top"), "199") << "the last layer lies on top";
  unmountAndRemove("tall");
}

TEST_P(Mounts, ALayerMayComeTwice) {
  apply(1, TarWriter().file("f", "one").file("only", "1").file(".wh.none", ""));
  apply(2, TarWriter().file("f", "two").file(".wh.only", "").file("other", "2"));
  const std::vector<std::string> layers{diffIdOf(1), diffIdOf(1), diffIdOf(2), diffIdOf(1)};
  mountNew({.key = "twice", .layers = layers});
  EXPECT_EQ(content("f"), "one") << "the last one lies on top";
  EXPECT_EQ(content("only"), "1");
  EXPECT_EQ(content("other"), "2");
  unmountAndRemove("twice");
}

TEST_P(Mounts, IdsAreMapped) {
  if ((plugin_.flags() & BERTH_SNAPSHOTTER_ID_MAPPING) == 0)
    GTEST_SKIP() << "this kernel or file system does not map ids";
  TarWriter writer;
  writer.entry({.name = "./", .type = '5', .mode = 0755});
  writer.entry({.name = "f", .uid = 5, .gid = 6}, "data");
  apply(1, writer);
  mountNew({.key = "mapped", .layers = {diffIdOf(1)}, .mappings = {{0, 100000, 65536}}});
  EXPECT_EQ(stat("f").st_uid, 100005u);
  EXPECT_EQ(stat("f").st_gid, 100006u);
  EXPECT_EQ(stat(".").st_uid, 100000u);
  std::ofstream(target_ + "/f", std::ios::app) << " more";
  EXPECT_EQ(stat("f").st_uid, 100005u) << "also once it is copied up";
  EXPECT_EQ(content("f"), "data more");
  unmountAndRemove("mapped");
  // The layer itself serves other snapshots unmapped.
  mountNew({.key = "plain", .layers = {diffIdOf(1)}});
  EXPECT_EQ(stat("f").st_uid, 5u);
  unmountAndRemove("plain");
  const Status overlapping = plugin_.prepare(
      {.key = "bad", .layers = {diffIdOf(1)}, .mappings = {{0, 1, 10}, {5, 100, 10}}});
  EXPECT_TRUE(overlapping.ok());
  EXPECT_EQ(plugin_.mount("bad", target_).code(), BERTH_INVALID_ARGUMENT);
}

TEST_P(Mounts, DirectoriesThatALayerOnlyImpliesKeepTheirAttributes) {
  TarWriter base;
  base.entry({.name = "./", .type = '5', .mode = 0711});
  base.entry({.name = "tmp", .type = '5', .mode = 01777, .uid = 3, .modified = 1000000});
  base.entry({.name = "a", .type = '5', .mode = 0700});
  base.entry({.name = "a/b", .type = '5', .mode = 0710, .gid = 9});
  base.entry({.name = "gone", .type = '5', .mode = 0700});
  apply(1, base);
  apply(2, TarWriter().file("tmp/x", "x").file("a/b/c/d", "d").file(".wh.gone", ""));
  apply(3, TarWriter().file("gone/y", "y"));
  mountNew({.key = "s", .layers = {diffIdOf(1), diffIdOf(2), diffIdOf(3)}});
  EXPECT_EQ(stat(".").st_mode & 07777, 0711u);
  EXPECT_EQ(stat("tmp").st_mode & 07777, 01777u);
  EXPECT_EQ(stat("tmp").st_uid, 3u);
  EXPECT_EQ(stat("tmp").st_mtim.tv_sec, 1000000);
  EXPECT_EQ(stat("a").st_mode & 07777, 0700u);
  EXPECT_EQ(stat("a/b").st_mode & 07777, 0710u);
  EXPECT_EQ(stat("a/b").st_gid, 9u);
  EXPECT_EQ(stat("a/b/c").st_mode & 07777, 0755u);
  EXPECT_EQ(stat("gone").st_mode & 07777, 0755u) << "made anew after it was removed";
  EXPECT_EQ(content("a/b/c/d"), "d");
  unmountAndRemove("s");
}

TEST_P(Mounts, WhatNobodyWantsIsNotPreparedToItsEnd) {
  apply(1, TarWriter().file("a/b/c", "c"));
  plugin_.cancelled = true;
  EXPECT_EQ(plugin_.prepare({.key = "s", .layers = {diffIdOf(1)}}).code(), BERTH_CANCELLED);
  plugin_.cancelled = false;
  EXPECT_THAT(plugin_.snapshots(), testing::IsEmpty());
}

TEST_P(Mounts, BusyOnesAreDetached) {
  apply(1, TarWriter().file("f", "1"));
  mountNew({.key = "s", .layers = {diffIdOf(1)}});
  const support::Fd stranger(::open((target_ + "/f").c_str(), O_RDONLY | O_CLOEXEC));
  const Status unmounted = plugin_.unmount("s", target_);
  EXPECT_TRUE(unmounted.ok()) << unmounted.message();
  EXPECT_FALSE(*support::isMountPoint(target_));
  EXPECT_THAT(plugin_.warnings(), ElementsAre(HasSubstr("detached")));
  EXPECT_TRUE(plugin_.removeSnapshot("s").ok());
}

TEST_P(Mounts, MissingLayersAndBadKeysAreNamed) {
  const Status missing = plugin_.prepare({.key = "s", .layers = {diffIdOf(77)}});
  EXPECT_EQ(missing.code(), BERTH_NOT_FOUND);
  EXPECT_THAT(missing.message(), HasSubstr(diffIdOf(77)));
  for (const char* key : {"", "..", ".hidden", "a/b", "a b"})
    EXPECT_EQ(plugin_.prepare({.key = key}).code(), BERTH_INVALID_ARGUMENT) << key;
  EXPECT_THAT(*support::listDirectory(scratch_ / "root/staging"), IsEmpty());
}

TEST_P(Mounts, NothingLeaks) {
  apply(1, TarWriter().file("f", "1"));
  const auto cycle = [&] {
    mountNew({.key = "s", .layers = {diffIdOf(1)}});
    unmountAndRemove("s");
  };
  const auto threads = [] { return support::listDirectory("/proc/self/task")->size(); };
  const size_t threadsBefore = threads();
  cycle();
  const size_t descriptors = openDescriptors();
  const std::string table = mountsBelow(scratch_.path());
  for (int i = 0; i < 20; ++i) cycle();
  EXPECT_EQ(openDescriptors(), descriptors);
  EXPECT_EQ(mountsBelow(scratch_.path()), table);
  EXPECT_EQ(threads(), threadsBefore);
  EXPECT_THAT(*support::listDirectory(scratch_ / "root/staging"), IsEmpty());
  EXPECT_THAT(*support::listDirectory(scratch_ / "root/snapshots"), IsEmpty());
}

}  // namespace
}  // namespace berth::test
