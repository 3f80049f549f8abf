// Starting on what an earlier run left, and on options that make no sense.
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/files.hpp"
#include "berth/support/mounts.hpp"
#include "plugin_under_test.hpp"
#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string archive() {
  return TarWriter().file("f", "content").finish();
}

TEST(Start, FindsEverythingAgain) {
  const Scratch scratch;
  const std::string target = scratch / "target";
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  Usage usage;
  {
    PluginUnderTest plugin(scratch / "root");
    ASSERT_TRUE(plugin.apply(diffIdOf(1), archive(), &usage).ok());
    ASSERT_TRUE(plugin.prepare({.key = "s", .layers = {diffIdOf(1)}}).ok());
    ASSERT_TRUE(plugin.mount("s", target).ok());
  }
  EXPECT_EQ(*support::readFile(target + "/f"), "content") << "a mount outlives the host";
  PluginUnderTest plugin(scratch / "root");
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1)));
  EXPECT_THAT(plugin.snapshots(), ElementsAre("s"));
  Usage found;
  ASSERT_TRUE(plugin.layerUsage(diffIdOf(1), found).ok());
  EXPECT_EQ(found, usage);
  EXPECT_TRUE(plugin.prepare({.key = "s", .layers = {diffIdOf(1)}}).ok());
  EXPECT_TRUE(plugin.mount("s", target).ok());
  EXPECT_EQ(plugin.removeLayer(diffIdOf(1)).code(), BERTH_FAILED_PRECONDITION);
  EXPECT_EQ(plugin.removeSnapshot("s").code(), BERTH_FAILED_PRECONDITION);
  EXPECT_TRUE(plugin.unmount("s", target).ok());
  EXPECT_FALSE(*support::isMountPoint(target));
  EXPECT_TRUE(plugin.removeSnapshot("s").ok());
  EXPECT_TRUE(plugin.removeLayer(diffIdOf(1)).ok());
  EXPECT_THAT(plugin.warnings(), IsEmpty());
}

TEST(Start, RemovesWhatACrashLeft) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  {
    PluginUnderTest plugin(root);
    for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(plugin.apply(diffIdOf(i), archive()).ok());
    ASSERT_TRUE(plugin.prepare({.key = "good", .layers = {diffIdOf(1)}}).ok());
    ASSERT_TRUE(plugin.prepare({.key = "torn", .layers = {diffIdOf(1)}}).ok());
  }
  // Half an unpack, half a removal, and records that a disk has lost.
  ASSERT_TRUE(support::makeDirectories(root + "/staging/half/fs/deep/er").ok());
  const std::string layers = root + "/layers/sha256-";
  ASSERT_EQ(::truncate((layers + diffIdOf(2).substr(7) + "/layer.json").c_str(), 0), 0);
  ASSERT_TRUE(support::removePath(layers + diffIdOf(3).substr(7) + "/layer.json").ok());
  ASSERT_EQ(::truncate((root + "/snapshots/torn/snapshot.json").c_str(), 5), 0);

  PluginUnderTest plugin(root);
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1)));
  EXPECT_THAT(plugin.snapshots(), ElementsAre("good"));
  EXPECT_THAT(plugin.warnings(),
              ElementsAre(HasSubstr("torn"), HasSubstr(diffIdOf(2)), HasSubstr(diffIdOf(3))));
  EXPECT_TRUE(plugin.apply(diffIdOf(2), archive()).ok()) << "it is unpacked anew";
  plugin.shutDown();
  EXPECT_THAT(*support::listDirectory(root + "/layers"),
              ElementsAre("sha256-" + diffIdOf(1).substr(7), "sha256-" + diffIdOf(2).substr(7)));
}

void replaceIn(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = *support::readFile(path);
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << path;
  text.replace(at, from.size(), to);
  ASSERT_TRUE(support::replaceFile(path, text, 0600, support::Durability::kVisible).ok());
}

// A plugin that is put back after an upgrade must not take what the newer one made for damage.
TEST(Start, RecordsOfANewerPluginAreLeftAlone) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  const std::string layer = root + "/layers/sha256-" + diffIdOf(2).substr(7);
  {
    PluginUnderTest plugin(root);
    for (uint64_t i = 1; i <= 2; ++i) ASSERT_TRUE(plugin.apply(diffIdOf(i), archive()).ok());
    ASSERT_TRUE(plugin.prepare({.key = "s", .layers = {diffIdOf(1)}}).ok());
  }
  replaceIn(layer + "/layer.json", "\"version\":1", "\"version\":2");
  replaceIn(root + "/snapshots/s/snapshot.json", "\"version\":1", "\"version\":2");
  {
    PluginUnderTest plugin(root);
    ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
    EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1)));
    EXPECT_THAT(plugin.snapshots(), IsEmpty());
    EXPECT_THAT(plugin.warnings(), ElementsAre(HasSubstr("snapshot s"), HasSubstr(diffIdOf(2))));
    const std::vector<Status> refused = {
        plugin.apply(diffIdOf(2), archive()), plugin.removeLayer(diffIdOf(2)),
        plugin.prepare({.key = "s", .layers = {}}), plugin.mount("s", scratch.path()),
        plugin.removeSnapshot("s")};
    for (const Status& status : refused) {
      EXPECT_EQ(status.code(), BERTH_FAILED_PRECONDITION);
      EXPECT_THAT(status.message(), HasSubstr("the format 2 of a newer plugin"));
    }
    EXPECT_EQ(plugin.removeLayer(diffIdOf(1)).code(), BERTH_FAILED_PRECONDITION)
        << "the snapshot may lie on it";
  }
  replaceIn(layer + "/layer.json", "\"version\":2", "\"version\":1");
  replaceIn(root + "/snapshots/s/snapshot.json", "\"version\":2", "\"version\":1");
  PluginUnderTest plugin(root);
  EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1), diffIdOf(2)));
  EXPECT_THAT(plugin.snapshots(), ElementsAre("s"));
  EXPECT_THAT(plugin.warnings(), IsEmpty());
  EXPECT_EQ(*support::readFile(layer + "/fs/f"), "content");
}

TEST(Start, ADamagedSnapshotThatIsMountedKeepsItsLayers) {
  for (const std::string api : {"descriptors", "names"}) {
    const Scratch scratch;
    const std::string target = scratch / "target";
    const std::string options = R"(, "mount_api": ")" + api + "\"";
    ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
    {
      PluginUnderTest plugin(scratch / "root", options);
      if (!plugin.started.ok()) continue;  // an older kernel
      for (uint64_t i = 1; i <= 3; ++i) ASSERT_TRUE(plugin.apply(diffIdOf(i), archive()).ok());
      ASSERT_TRUE(plugin.prepare({.key = "s", .layers = {diffIdOf(1), diffIdOf(2)}}).ok());
      ASSERT_TRUE(plugin.mount("s", target).ok());
    }
    ASSERT_EQ(::truncate((scratch / "root/snapshots/s/snapshot.json").c_str(), 5), 0);
    PluginUnderTest plugin(scratch / "root", options);
    EXPECT_THAT(plugin.warnings(), ElementsAre(HasSubstr("damaged but mounted")));
    for (uint64_t i = 1; i <= 2; ++i) {
      EXPECT_EQ(plugin.removeLayer(diffIdOf(i)).code(), BERTH_FAILED_PRECONDITION) << api;
    }
    // Mounts by names do not tell which layers they have.
    EXPECT_EQ(plugin.removeLayer(diffIdOf(3)).code(),
              api == "names" ? BERTH_FAILED_PRECONDITION : BERTH_OK);
    EXPECT_EQ(*support::readFile(target + "/f"), "content");
    ASSERT_TRUE(plugin.unmount("s", target).ok());
    ASSERT_TRUE(plugin.removeSnapshot("s").ok());
    for (uint64_t i = 1; i <= 3; ++i) EXPECT_TRUE(plugin.removeLayer(diffIdOf(i)).ok()) << i;
  }
}

TEST(Start, LeftoversAreDeletedInTheBackground) {
  const Scratch scratch;
  ASSERT_TRUE(support::makeDirectories(scratch / "root/staging/left/over").ok());
  PluginUnderTest plugin(scratch / "root");
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  // The thread that deletes ends by itself; a process of one thread has none.
  while (support::listDirectory("/proc/self/task")->size() > 1) ::usleep(1000);
  EXPECT_THAT(*support::listDirectory(scratch / "root/staging"), IsEmpty());
}

TEST(Start, OneInstanceForARoot) {
  const Scratch scratch;
  PluginUnderTest first(scratch / "root");
  ASSERT_TRUE(first.started.ok());
  PluginUnderTest second(scratch / "root");
  EXPECT_EQ(second.started.code(), BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(second.started.message(), HasSubstr("another snapshotter"));
  first.shutDown();
  PluginUnderTest third(scratch / "root");
  EXPECT_TRUE(third.started.ok()) << third.started.message();
}

TEST(Start, BadOptionsStopIt) {
  const Scratch scratch;
  const auto code = [&](const std::string& options) {
    return PluginUnderTest(scratch / "root", options).started.code();
  };
  EXPECT_EQ(PluginUnderTest("relative/path").started.code(), BERTH_INVALID_ARGUMENT);
  EXPECT_EQ(code(R"(, "mount_api": "magic")"), BERTH_INVALID_ARGUMENT);
  EXPECT_EQ(code(R"(, "mount_options": ["upperdir=/etc"])"), BERTH_INVALID_ARGUMENT);
  EXPECT_EQ(code(R"(, "mount_options": ["a,b"])"), BERTH_INVALID_ARGUMENT);
  EXPECT_EQ(code(R"(, "mount_options": ["no_such_option=1"])"), BERTH_FAILED_PRECONDITION);
  EXPECT_EQ(code(R"(, "mount_options": ["xino=off"], "durable": false, "volatile": false)"),
            BERTH_OK);
}

}  // namespace
}  // namespace berth::test
