// Kills for want of memory, of which shims tell, or files in place of a cgroup's.
#include <filesystem>
#include <fstream>

#include "keeper_fixture.hpp"

namespace berth::kata {
namespace {

class KeeperMemory : public KeeperTest {
 protected:
  KeeperMemory() {
    std::filesystem::create_directories(cgroup);
    count("pod", 4);
    count("pod/c", 0);
  }

  void count(const std::string& of, int kills) {
    std::ofstream(folder / of + "/memory.events") << "oom 9\noom_kill " << kills << "\n";
  }
  // What a read of a removed cgroup's file gives.
  void removeCgroup() { std::filesystem::resize_file(cgroup + "/memory.events", 0); }
  void watch() {
    const auto watched = call({.operation = Operation::kWatchMemory, .key = "c", .cgroup = cgroup});
    EXPECT_TRUE(watched.ok()) << watched.status();
  }
  bool isListedAsKilled() {
    return call({.operation = Operation::kList})->entries.at(0).oomKilled != 0;
  }
  // At its end, which the shim never tells; it was killed unless `awaitExit` is 0.
  bool isKilledInTheEnd(uint32_t awaitExit = 1) {
    const auto finished =
        call({.operation = Operation::kFinish, .key = "c", .timeoutMs = 1, .awaitExit = awaitExit});
    EXPECT_TRUE(finished.ok()) << finished.status();
    return finished.ok() && finished->entries.at(0).oomKilled != 0;
  }
  support::Fd subscribe() { return *client.subscribe(limitsFor(kTime)); }
  // What a call before has brought about has been told by now.
  static bool isToldNoMore(const support::Fd& events) {
    return absl::IsNotFound(KeeperClient::nextEvent(events).status());
  }

  const std::string cgroup = folder / "pod/c";
};

TEST_F(KeeperMemory, WhatIsCountedIsTold) {
  open();
  const support::Fd events = subscribe();
  watch();
  EXPECT_TRUE(isToldNoMore(events));
  EXPECT_FALSE(isListedAsKilled());
  count("pod/c", 1);
  EXPECT_TRUE(isKilledInTheEnd());
  const auto event = nextEvent(events);
  ASSERT_TRUE(event.ok()) << event.status();
  EXPECT_EQ(event->event, keeper::EventKind::kOomKilled);
  EXPECT_EQ(event->key, "c");
  EXPECT_TRUE(isToldNoMore(events));
  EXPECT_TRUE(isListedAsKilled());
}

TEST_F(KeeperMemory, TheShimsEventAndTheCountAreOneKill) {
  open();
  const support::Fd events = subscribe();
  watch();
  count("pod/c", 1);
  tell("/tasks/oom", "c");
  EXPECT_TRUE(nextEvent(events).ok());
  tell("/tasks/oom", "c");
  removeCgroup();
  tell("/tasks/oom", "c");
  EXPECT_TRUE(isToldNoMore(events));
}

TEST_F(KeeperMemory, TheShimsEventCountsWhereTheCgroupHasGone) {
  open();
  const support::Fd events = subscribe();
  watch();
  removeCgroup();
  count("pod", 5);
  tell("/tasks/oom", "c");
  EXPECT_TRUE(nextEvent(events).ok());
  EXPECT_TRUE(isKilledInTheEnd());
  EXPECT_TRUE(isToldNoMore(events)) << "its parent tells of the same one";
}

TEST_F(KeeperMemory, ACgroupThatHasGoneIsJudgedByItsParent) {
  open();
  const support::Fd events = subscribe();
  watch();
  count("pod", 5);
  removeCgroup();
  EXPECT_FALSE(isKilledInTheEnd(0)) << "it has not been killed";
  EXPECT_TRUE(isToldNoMore(events));
  EXPECT_TRUE(isKilledInTheEnd());
  EXPECT_TRUE(nextEvent(events).ok());
}

TEST_F(KeeperMemory, AKillOfASiblingIsNotThisOnes) {
  open();
  watch();
  count("pod", 5);
  EXPECT_FALSE(isKilledInTheEnd());
  // A daemon that did not live to record it asks again.
  count("pod", 6);
  removeCgroup();
  EXPECT_FALSE(isKilledInTheEnd());
}

TEST_F(KeeperMemory, AKillAfterTheExitIsNotThisOnes) {
  open();
  watch();
  removeCgroup();
  tell("/tasks/exit", "c");
  count("pod", 5);
  EXPECT_FALSE(isKilledInTheEnd());
}

TEST_F(KeeperMemory, AKeeperThatTakesOverKnowsOfKillsForMemory) {
  open();
  tell("/tasks/oom", "c");
  stop();
  start();
  open();
  EXPECT_TRUE(isListedAsKilled());
  // Nothing of it is another one's.
  EXPECT_TRUE(call({.operation = Operation::kForget, .key = "c"}).ok());
  open();
  EXPECT_FALSE(isListedAsKilled());
}

TEST_F(KeeperMemory, AKeeperThatTakesOverWatchesOn) {
  open();
  watch();
  stop();
  start();
  open(keeper::Input::kStays, 0, cgroup);
  EXPECT_FALSE(isListedAsKilled());
  count("pod", 5);
  removeCgroup();
  EXPECT_TRUE(isKilledInTheEnd());
}

}  // namespace
}  // namespace berth::kata
