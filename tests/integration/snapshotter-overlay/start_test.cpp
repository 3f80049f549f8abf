// Starting on what an earlier run left, and on options that make no sense.
#include <csignal>
#include <cstdio>
#include <fstream>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../unit/no_more_threads.hpp"
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
        plugin.prepare({.key = "s", .layers = {}}), plugin.mount("s", scratch.path())};
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

// What the plugin tells people to do must help without another start.
TEST(Start, WhatIsLeftAloneCanBeRemoved) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  const std::string layer = root + "/layers/sha256-" + diffIdOf(2).substr(7);
  const std::vector<std::string> keys = {"by-call", "by-hand"};
  {
    PluginUnderTest plugin(root);
    for (uint64_t i = 1; i <= 2; ++i) ASSERT_TRUE(plugin.apply(diffIdOf(i), archive()).ok());
    for (const std::string& key : keys)
      ASSERT_TRUE(plugin.prepare({.key = key, .layers = {diffIdOf(1)}}).ok());
  }
  replaceIn(layer + "/layer.json", "\"version\":1", "\"version\":2");
  for (const std::string& key : keys)
    replaceIn(root + "/snapshots/" + key + "/snapshot.json", "\"version\":1", "\"version\":2");
  PluginUnderTest plugin(root);
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  EXPECT_EQ(plugin.removeLayer(diffIdOf(1)).code(), BERTH_FAILED_PRECONDITION);
  const Status removed = plugin.removeSnapshot("by-call");
  EXPECT_TRUE(removed.ok()) << "removing takes no knowledge of a record: " << removed.message();
  EXPECT_EQ(plugin.removeLayer(diffIdOf(1)).code(), BERTH_FAILED_PRECONDITION);
  ASSERT_TRUE(support::removeTree(root + "/snapshots/by-hand").ok());
  EXPECT_TRUE(plugin.removeLayer(diffIdOf(1)).ok());
  ASSERT_TRUE(support::removeTree(layer).ok());
  EXPECT_TRUE(plugin.apply(diffIdOf(2), archive()).ok());
  for (const std::string& key : keys)
    EXPECT_TRUE(plugin.prepare({.key = key, .layers = {diffIdOf(2)}}).ok()) << key;
}

// An error of the disk's says nothing of what could not be read.
TEST(Start, WhatCannotBeReadIsNotDeleted) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  const std::string layer = root + "/layers/sha256-" + diffIdOf(1).substr(7);
  const std::string snapshot = root + "/snapshots/s";
  {
    PluginUnderTest plugin(root);
    ASSERT_TRUE(plugin.apply(diffIdOf(1), archive()).ok());
    ASSERT_TRUE(plugin.prepare({.key = "s", .layers = {}}).ok());
  }
  // Links to themselves: an error like any other.
  for (const std::string& file : {layer + "/layer.json", snapshot + "/snapshot.json"}) {
    ASSERT_EQ(::rename(file.c_str(), (file + ".good").c_str()), 0);
    ASSERT_EQ(::symlink(file.c_str(), file.c_str()), 0);
  }
  {
    PluginUnderTest plugin(root);
    ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
    EXPECT_THAT(plugin.layers(), IsEmpty());
    EXPECT_THAT(plugin.snapshots(), IsEmpty());
    EXPECT_THAT(plugin.warnings(), ElementsAre(HasSubstr("snapshot s is left alone"),
                                               HasSubstr(diffIdOf(1) + " is left alone")));
    EXPECT_EQ(plugin.apply(diffIdOf(1), archive()).code(), BERTH_FAILED_PRECONDITION);
  }
  for (const std::string& file : {layer + "/layer.json", snapshot + "/snapshot.json"})
    ASSERT_EQ(::rename((file + ".good").c_str(), file.c_str()), 0);
  PluginUnderTest plugin(root);
  EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1)));
  EXPECT_THAT(plugin.snapshots(), ElementsAre("s"));
}

TEST(Start, AStrayFilePinsNothing) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  {
    PluginUnderTest plugin(root);
    ASSERT_TRUE(plugin.apply(diffIdOf(1), archive()).ok());
  }
  std::ofstream(root + "/snapshots/list") << "s";
  std::ofstream(root + "/layers/list") << "s";
  PluginUnderTest plugin(root);
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  EXPECT_TRUE(plugin.removeLayer(diffIdOf(1)).ok());
}

// Without its record a layer is not offered, so it is pulled again, under those who run on it.
TEST(Start, UnpackingADamagedLayerAgainLeavesMountsAlone) {
  const Scratch scratch;
  const std::string root = scratch / "root";
  const std::string target = scratch / "target";
  const std::string layers = root + "/layers";
  const std::string record = layers + "/sha256-" + diffIdOf(1).substr(7) + "/layer.json";
  ASSERT_EQ(::mkdir(target.c_str(), 0755), 0);
  {
    PluginUnderTest plugin(root);
    ASSERT_TRUE(plugin.apply(diffIdOf(1), archive()).ok());
    ASSERT_TRUE(plugin.prepare({.key = "s", .layers = {diffIdOf(1)}}).ok());
    ASSERT_TRUE(plugin.mount("s", target).ok());
  }
  ASSERT_EQ(::truncate(record.c_str(), 0), 0);
  {
    PluginUnderTest plugin(root);
    EXPECT_THAT(plugin.layers(), IsEmpty());
    ASSERT_TRUE(plugin.apply(diffIdOf(1), archive()).ok());
    EXPECT_EQ(support::readFile(target + "/f").value_or(""), "content");
  }
  {
    PluginUnderTest plugin(root);
    EXPECT_THAT(plugin.warnings(), IsEmpty());
    EXPECT_THAT(plugin.layers(), ElementsAre(diffIdOf(1)));
    EXPECT_EQ(support::readFile(target + "/f").value_or(""), "content");
    ASSERT_TRUE(plugin.unmount("s", target).ok());
    ASSERT_TRUE(plugin.mount("s", target).ok());
    EXPECT_EQ(support::readFile(target + "/f").value_or(""), "content") << "of the new one";
    ASSERT_TRUE(plugin.unmount("s", target).ok());
    ASSERT_TRUE(plugin.removeSnapshot("s").ok());
  }
  PluginUnderTest plugin(root);
  EXPECT_EQ(support::listDirectory(layers)->size(), 1u) << "the old one has gone with its user";
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
    EXPECT_EQ(plugin.prepare({.key = "s", .layers = {diffIdOf(3)}}).code(),
              BERTH_FAILED_PRECONDITION);
    EXPECT_EQ(plugin.removeLayer(diffIdOf(1)).code(), BERTH_FAILED_PRECONDITION)
        << "a failed call frees nothing";
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
  // A sanitizer has one of its own.
  const auto threads = [] { return support::listDirectory("/proc/self/task")->size(); };
  const size_t before = threads();
  PluginUnderTest plugin(scratch / "root");
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  // The thread that deletes ends by itself.
  while (threads() > before) ::usleep(1000);
  EXPECT_THAT(*support::listDirectory(scratch / "root/staging"), IsEmpty());
}

// Deleting them is not worth failing for.
TEST(Start, WithoutAThreadLeftoversStay) {
  const Scratch scratch;
  ASSERT_TRUE(support::makeDirectories(scratch / "root/staging/left").ok());
  const testing_support::NoMoreThreads shortage;
  PluginUnderTest plugin(scratch / "root");
  ASSERT_TRUE(plugin.started.ok()) << plugin.started.message();
  EXPECT_THAT(plugin.warnings(), ElementsAre(HasSubstr("stays until the next start")));
}

// In a user namespace of its own: the exit code of a process that starts the plugin there.
int startWithoutUserNamespaces(const std::string& root) {
  const bool own = support::writeControlFile("/proc/self/setgroups", "deny").ok() &&
                   support::writeControlFile("/proc/self/uid_map", "0 0 1").ok() &&
                   support::writeControlFile("/proc/self/gid_map", "0 0 1").ok();
  if (!own) return 2;
  if (!support::writeControlFile("/proc/sys/user/max_user_namespaces", "0").ok()) return 3;
  const PluginUnderTest plugin(root);
  if (!plugin.started.ok()) std::fprintf(stderr, "%s\n", plugin.started.message().c_str());
  return plugin.started.ok() ? 0 : 1;
}

// As hardened hosts have it. Limits are those of a user namespace (namespaces(7)).
TEST(Start, AHostMayHaveNoUserNamespaces) {
  const Scratch scratch;
  // Not fork() and unshare(), which a process with several threads is refused; sanitizers have one.
  const long child = ::syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, nullptr, nullptr,
                               nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(startWithoutUserNamespaces(scratch / "root"));
  int status = 0;
  ASSERT_EQ(::waitpid(static_cast<pid_t>(child), &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
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
