// The connection to a monitor: how it breaks, and what proves a death.
#include <csignal>
#include <cstdlib>
#include <future>
#include <optional>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "berth/support/process.hpp"
#include "fake_monitor.hpp"
#include "monitor_client.hpp"
#include "monitor_link.hpp"

namespace berth::runc {
namespace {

using ::testing::HasSubstr;

constexpr auto kSoon = std::chrono::milliseconds(200);
constexpr auto kLong = std::chrono::seconds(60);

class CountingListener final : public MonitorListener {
 public:
  void onListing(const MonitorClient::Listing&) override { ++listings; }
  void onEvent(const MonitorEvent&) override {}
  void onBroken() override { ++breaks; }
  void onDead() override { ++deaths; }

  std::atomic<int> listings = 0;
  std::atomic<int> breaks = 0;
  std::atomic<int> deaths = 0;
};

class MonitorLinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char pattern[] = "/tmp/berth-link-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern), nullptr);
    runDir_ = pattern;
    auto process = support::spawn({.argv = {"/bin/sleep", "1000"}});
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
    monitor_.emplace(runDir_, "pod", process_.pid());
    link_.emplace("pod", runDir_, listener_);
  }
  void TearDown() override {
    link_.reset();
    monitor_.reset();
    process_ = {};
    EXPECT_TRUE(support::removeTree(runDir_).ok());
  }

  absl::Status reach(std::chrono::milliseconds time = kLong) {
    return link_->reach(limitsFor(time)).status();
  }
  absl::Status kill(bool* unclear = nullptr, std::chrono::milliseconds time = kLong) {
    const CallLimits limits = limitsFor(time);
    return link_->call(
        limits,
        [&](MonitorClient& client) {
          return client.killContainer("c", SIGKILL, protocol::KillScope::kAll, limits);
        },
        unclear);
  }
  static bool within(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }

  std::string runDir_;
  support::Process process_;
  CountingListener listener_;
  std::optional<FakeMonitor> monitor_;
  std::optional<MonitorLink> link_;
};

TEST_F(MonitorLinkTest, ManyCallersMakeOneConnection) {
  std::vector<std::future<absl::Status>> callers;
  for (int i = 0; i < 16; ++i) {
    callers.push_back(std::async(std::launch::async, [&] { return reach(); }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get().ok());
  EXPECT_EQ(monitor_->connections, 1);
  EXPECT_EQ(listener_.listings, 1);
}

// And the one that works is not replaced: its monitor would end what was begun over it.
TEST_F(MonitorLinkTest, ABreakIsToldOnceAndMendedOnce) {
  ASSERT_TRUE(reach().ok());
  monitor_->hangUp();
  std::vector<std::future<absl::Status>> callers;
  for (int i = 0; i < 16; ++i) {
    callers.push_back(std::async(std::launch::async, [&] { return kill(); }));
  }
  for (auto& caller : callers) EXPECT_TRUE(caller.get().ok());
  EXPECT_EQ(monitor_->connections, 2);
  EXPECT_EQ(listener_.breaks, 1);
  EXPECT_EQ(listener_.deaths, 0);
}

TEST_F(MonitorLinkTest, ACallIsRepeatedOverAnotherConnection) {
  monitor_->hangUps = 1;
  bool unclear = true;
  EXPECT_TRUE(kill(&unclear).ok());
  EXPECT_FALSE(unclear);
  EXPECT_EQ(monitor_->kills, 2);
  EXPECT_EQ(monitor_->connections, 2);
}

TEST_F(MonitorLinkTest, ACallThatBreaksEveryConnectionEnds) {
  monitor_->hangUps = 1000;
  bool unclear = false;
  const absl::Status status = kill(&unclear);
  EXPECT_TRUE(absl::IsAborted(status)) << status;
  EXPECT_TRUE(unclear);
  EXPECT_EQ(monitor_->kills, 3);
  EXPECT_FALSE(link_->isDead());
  monitor_->hangUps = 0;
  EXPECT_TRUE(kill().ok());
}

TEST_F(MonitorLinkTest, AnAnswerThatIsNotHeardIsUnclear) {
  ASSERT_TRUE(reach().ok());
  monitor_->silent = true;
  bool unclear = false;
  const absl::Status late = kill(&unclear, kSoon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_TRUE(unclear);
  monitor_->mute = true;
  monitor_->hangUp();
  ASSERT_TRUE(within([&] { return listener_.breaks == 1; }));
  // The monitor was not even asked.
  const absl::Status unreached = kill(&unclear, kSoon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(unreached)) << unreached;
  EXPECT_FALSE(unclear);
}

// Whoever connects to a monitor that hangs keeps the others waiting no longer than they want.
TEST_F(MonitorLinkTest, EveryCallerHasItsOwnLimits) {
  monitor_->mute = true;
  const support::Fd cancel(::eventfd(0, EFD_CLOEXEC));
  auto patient = std::async(std::launch::async, [&] {
    CallLimits limits = limitsFor(kLong);
    limits.cancelFd = cancel.get();
    return link_->reach(limits).status();
  });
  ASSERT_TRUE(within([&] { return monitor_->connections == 1; }));
  const absl::Status late = reach(kSoon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  ASSERT_EQ(::eventfd_write(cancel.get(), 1), 0);
  const absl::Status cancelled = patient.get();
  EXPECT_TRUE(absl::IsCancelled(cancelled)) << cancelled;
  EXPECT_FALSE(link_->isDead());
}

TEST_F(MonitorLinkTest, DeadIsWhatHoldsNothingAndHasEnded) {
  ASSERT_TRUE(reach().ok());
  monitor_.reset();
  ASSERT_TRUE(within([&] { return listener_.breaks == 1; }));
  // Its process goes on, and so may what it has started.
  const absl::Status ending = reach(kSoon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(ending)) << ending;
  EXPECT_FALSE(link_->isDead());
  ASSERT_TRUE(process_.signal(SIGKILL).ok());
  const absl::Status gone = reach();
  EXPECT_TRUE(absl::IsUnavailable(gone)) << gone;
  EXPECT_TRUE(link_->isDead());
  EXPECT_TRUE(absl::IsUnavailable(kill()));
  EXPECT_EQ(listener_.deaths, 1);
}

TEST_F(MonitorLinkTest, WhatHoldsItsFolderMayStillBegin) {
  monitor_.reset();
  const auto folder = support::openFile(runDir_, O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(folder.ok()) << folder.status();
  ASSERT_EQ(::flock(folder->get(), LOCK_EX | LOCK_NB), 0);
  const absl::Status late = reach(kSoon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_FALSE(link_->isDead());
  auto waiting = std::async(std::launch::async, [&] { return reach(); });
  EXPECT_EQ(waiting.wait_for(kSoon), std::future_status::timeout);
  ASSERT_EQ(::flock(folder->get(), LOCK_UN), 0);
  EXPECT_TRUE(absl::IsUnavailable(waiting.get()));
  EXPECT_TRUE(link_->isDead());
}

// Dead is only what is proven to be: what cannot be looked at may live.
TEST_F(MonitorLinkTest, AShortageOfDescriptorsIsNoDeath) {
  monitor_.reset();
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status unknown = reach();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(unknown)) << unknown;
  EXPECT_FALSE(link_->isDead());
  EXPECT_TRUE(absl::IsUnavailable(reach()));
  EXPECT_TRUE(link_->isDead());
}

TEST_F(MonitorLinkTest, TheMonitorOfAnotherPodIsNotOurs) {
  monitor_.reset();
  monitor_.emplace(runDir_, "other", process_.pid());
  const absl::Status refused = reach();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_THAT(std::string(refused.message()), HasSubstr("other"));
  EXPECT_FALSE(link_->isDead());
}

TEST_F(MonitorLinkTest, AnEndThatWasWantedIsNoLoss) {
  ASSERT_TRUE(reach().ok());
  auto ending = std::async(std::launch::async, [&] { return link_->shutDown(limitsFor(kLong)); });
  ASSERT_TRUE(within([&] { return link_->isEnding(); }));
  ASSERT_TRUE(process_.signal(SIGKILL).ok());
  EXPECT_TRUE(ending.get().ok());
  EXPECT_EQ(listener_.breaks, 0);
}

// From then on a loss is one again.
TEST_F(MonitorLinkTest, AnEndThatFailsLeavesItAsItWas) {
  monitor_->shutdownCode = protocol::Code::kFailedPrecondition;
  const absl::Status refused = link_->shutDown(limitsFor(kLong));
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  EXPECT_FALSE(link_->isEnding());
  monitor_->hangUp();
  EXPECT_TRUE(within([&] { return listener_.breaks == 1; }));
  // Its end is not waited for to the end, and what broke meanwhile is told.
  monitor_->shutdownCode = protocol::Code::kOk;
  ASSERT_TRUE(reach().ok());
  const absl::Status late = link_->shutDown(limitsFor(kSoon));
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_FALSE(link_->isEnding());
  EXPECT_TRUE(within([&] { return listener_.breaks == 2; }));
}

// Earlier monitors know no such request: their runtime goes on.
TEST_F(MonitorLinkTest, ARemovalThatIsCutOffIsEndedWhereTheMonitorCan) {
  ASSERT_TRUE(reach().ok());
  monitor_->silent = true;
  const auto remove = [&] {
    const CallLimits limits = limitsFor(kSoon);
    return link_->call(limits,
                       [&](MonitorClient& client) { return client.deleteContainer("c", limits); });
  };
  for (const protocol::Code code : {protocol::Code::kOk, protocol::Code::kUnimplemented}) {
    monitor_->cancelDeleteCode = code;
    const absl::Status status = remove();
    EXPECT_TRUE(absl::IsDeadlineExceeded(status)) << status;
    EXPECT_THAT(status.ToString(), ::testing::Not(HasSubstr("as it was told")));
  }
  monitor_->cancelDeleteCode = protocol::Code::kInternal;
  EXPECT_THAT(remove().ToString(), HasSubstr("end the runtime that deletes c: as it was told"));
}

}  // namespace
}  // namespace berth::runc
