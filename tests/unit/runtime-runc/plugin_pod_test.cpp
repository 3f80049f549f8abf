// A pod's containers, and the cgroups that pods share.
#include <csignal>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>

#include "../support/recorded_versions.hpp"
#include "cgroup_fixture.hpp"
#include "cgroup_processes.hpp"
#include "owned_cgroups.hpp"
#include "pod.hpp"
#include "process_end.hpp"

namespace berth::runc {
namespace {

class NoListener final : public PodListener {
 public:
  void onContainerExited(const std::string&, const protocol::ContainerStatus&) override {}
  void onContainerOom(const std::string&, const protocol::ContainerStatus&) override {}
  void onMonitorLost(const std::string&) override {}
};

class PodTest : public CgroupFixture {
 protected:
  NoListener listener_;
};

// Nobody could ever wait for its end.
TEST_F(PodTest, AContainerNeedsADescriptor) {
  const CgroupLayout layout = unified();
  Pod pod({.id = "pod", .directory = root_}, layout, listener_);
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = pod.add({.id = "c", .bundle = "/b", .cgroup = "/p/c"});
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(refused.status())) << refused.status();
  EXPECT_EQ(pod.find("c"), nullptr);
  EXPECT_TRUE(pod.add({.id = "c", .bundle = "/b", .cgroup = "/p/c"}).ok());
}

TEST_F(PodTest, AGivenUpStartIsKnownUntilItIsSettled) {
  const CgroupLayout layout = unified();
  Pod pod({.id = "pod", .directory = root_}, layout, listener_);
  const auto container = pod.add({.id = "c", .bundle = "/b", .cgroup = "/p/c"});
  ASSERT_TRUE(container.ok()) << container.status();
  EXPECT_TRUE(pod.startsGivenUp().empty());
  pod.giveUpStart(**container);
  ASSERT_EQ(pod.startsGivenUp().size(), 1u);
  EXPECT_EQ(pod.startsGivenUp()[0], *container);
  pod.settleStart(**container);
  EXPECT_TRUE(pod.startsGivenUp().empty());
}

// Nobody would ever end such a wait.
TEST_F(PodTest, ADeadPodsContainersCountAsEnded) {
  const CgroupLayout layout = unified();
  Pod pod({.id = "pod", .directory = root_}, layout, listener_);
  const auto early = pod.add({.id = "c1", .bundle = "/b", .cgroup = "/p/c1"});
  ASSERT_TRUE(early.ok()) << early.status();
  EXPECT_TRUE(
      absl::IsUnavailable(pod.monitor().reach(limitsFor(std::chrono::seconds(60))).status()));
  const auto late = pod.add({.id = "c2", .bundle = "/b", .cgroup = "/p/c2"});
  ASSERT_TRUE(late.ok()) << late.status();
  for (const auto& container : {*early, *late}) {
    EXPECT_TRUE(waitReadable(container->ended.get(), limitsFor(std::chrono::seconds(0)), "").ok());
  }
}

// What cannot be looked at is not taken for empty.
TEST_F(PodTest, AShortageOfDescriptorsEndsNoCgroup) {
  const CgroupLayout layout = unified();
  write("p/c/cgroup.procs", "");
  const auto kill = [&] { return killCgroup(layout, "/p/c", limitsFor(std::chrono::seconds(60))); };
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status unknown = kill();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(unknown)) << unknown;
  EXPECT_TRUE(kill().ok());
}

using Owned = CgroupFixture;

TEST_F(Owned, WhatAnotherPodIsAboutToUseStays) {
  const CgroupLayout layout = unified();
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  const std::string parent = root_ + "/shared";
  ASSERT_TRUE(owned.claim("a", "/shared/inner").ok());
  ASSERT_TRUE(support::makeDirectories(parent + "/inner").ok());  // as the runtime does
  ASSERT_TRUE(owned.claim("b", "/shared").ok());
  EXPECT_TRUE(owned.release("a", {"/shared/inner"}).ok());
  EXPECT_FALSE(support::pathExists(parent + "/inner"));
  EXPECT_TRUE(support::pathExists(parent));
  // Known after a restart as well.
  OwnedCgroups again(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(again.load().ok());
  EXPECT_TRUE(again.release("b", {"/shared"}).ok());
  EXPECT_FALSE(support::pathExists(parent));
  EXPECT_FALSE(support::pathExists(root_ + "/cgroups.json"));
}

TEST_F(Owned, APodsOwnClaimsGoWithIt) {
  const CgroupLayout layout = unified();
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(owned.claim("a", "/x/y").ok());
  ASSERT_TRUE(support::makeDirectories(root_ + "/x/y").ok());
  EXPECT_TRUE(owned.release("a", {}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/x"));
}

// What was there before is nobody's to remove.
TEST_F(Owned, ForeignOnesStay) {
  const CgroupLayout layout = unified();
  ASSERT_TRUE(support::makeDirectories(root_ + "/x").ok());
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(owned.claim("a", "/x/y").ok());
  ASSERT_TRUE(support::makeDirectories(root_ + "/x/y").ok());
  EXPECT_TRUE(owned.release("a", {"/x/y"}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/x/y"));
  EXPECT_TRUE(support::pathExists(root_ + "/x"));
}

TEST_F(Owned, WhatIsKnownOutlivesADamagedFile) {
  const CgroupLayout layout = unified();
  OwnedCgroups before(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(before.load().ok());
  ASSERT_TRUE(before.claim("a", "/a").ok());
  ASSERT_TRUE(
      support::replaceFile(root_ + "/cgroups.json", "{", 0600, support::Durability::kVisible).ok());
  ASSERT_TRUE(before.claim("b", "/b").ok());
  for (const char* made : {"/a", "/b"}) ASSERT_TRUE(support::makeDirectories(root_ + made).ok());
  OwnedCgroups next(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(next.load().ok());
  EXPECT_TRUE(next.release("a", {"/a"}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/a"));
}

TEST_F(Owned, WhatInstancesBesideEachOtherOwnIsKnownAfterwards) {
  const CgroupLayout layout = unified();
  OwnedCgroups before(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(before.load().ok());
  ASSERT_TRUE(before.claim("a", "/a").ok());
  OwnedCgroups after(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(after.load().ok());
  ASSERT_TRUE(after.claim("b", "/b").ok());
  for (const char* made : {"/a", "/b"}) ASSERT_TRUE(support::makeDirectories(root_ + made).ok());
  EXPECT_TRUE(before.release("a", {"/a"}).ok());
  OwnedCgroups next(layout, root_ + "/cgroups.json");
  ASSERT_TRUE(next.load().ok());
  EXPECT_TRUE(next.release("b", {"/b"}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/b"));
}

TEST_F(Owned, ADamagedFileIsNamed) {
  const CgroupLayout layout = unified();
  write("cgroups.json", "{\"direct");
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  const absl::Status damaged = owned.load();
  EXPECT_TRUE(absl::IsDataLoss(damaged)) << damaged;
  EXPECT_THAT(std::string(damaged.message()), ::testing::HasSubstr("cgroups.json"));
}

// A plugin that is put back after an upgrade does not take away what the newer one knows.
TEST_F(Owned, ANewerPluginsFileStaysAsItIs) {
  const CgroupLayout layout = unified();
  const std::string newer = R"({"version":2,"of":"another kind"})";
  write("cgroups.json", newer);
  OwnedCgroups owned(layout, root_ + "/cgroups.json");
  const absl::Status loaded = owned.load();
  EXPECT_TRUE(absl::IsFailedPrecondition(loaded)) << loaded;
  ASSERT_TRUE(owned.claim("a", "/x").ok());
  ASSERT_TRUE(support::makeDirectories(root_ + "/x").ok());
  EXPECT_EQ(*support::readFile(root_ + "/cgroups.json"), newer);
  EXPECT_TRUE(owned.release("a", {"/x"}).ok());
  EXPECT_FALSE(support::pathExists(root_ + "/x")) << "its own it knows";
  EXPECT_EQ(*support::readFile(root_ + "/cgroups.json"), newer);
}

class OwnedFixtures : public Owned, public ::testing::WithParamInterface<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, OwnedFixtures, ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(OwnedFixtures, TheFileIsRead) {
  const CgroupLayout layout = unified();
  OwnedCgroups owned(layout, testing::fixtureOf(GetParam(), "cgroups.json"));
  EXPECT_TRUE(owned.load().ok());
}

// The first thread of a process may end while the others run on: /proc shows a zombie.
TEST(UnreapedInit, IsNotOneWhoseOtherThreadsRun) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  support::Fd reader(ends[0]);
  support::Fd writer(ends[1]);
  const auto child = static_cast<pid_t>(::syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0));
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Its end of the pipe is closed by its death, which is the test's to cause.
    std::thread([&writer] {
      while (::write(writer.get(), "x", 1) == 1) ::sleep(1000);
    }).detach();
    ::syscall(SYS_exit, 0);
  }
  writer.reset();
  char byte = 0;
  ASSERT_EQ(::read(reader.get(), &byte, 1), 1);
  const std::string state = "/proc/" + std::to_string(child) + "/stat";
  while (support::readFile(state)->find(") Z ") == std::string::npos) std::this_thread::yield();
  EXPECT_FALSE(isUnreapedInit(child));
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::read(reader.get(), &byte, 1), 0);  // every thread has ended
  while (!isUnreapedInit(child)) std::this_thread::yield();
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_FALSE(isUnreapedInit(child));
}

}  // namespace
}  // namespace berth::runc
