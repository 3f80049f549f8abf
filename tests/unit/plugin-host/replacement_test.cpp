// A plugin replaced while it runs.
#include <algorithm>
#include <atomic>
#include <future>
#include <thread>

#include "replacement_fixture.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using testing::eventually;
using testing::Gate;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::pluginPath;

using ReplacementTest = testing::ReplacementTest;

TEST_F(ReplacementTest, NewUsersHaveTheNewFormAndTheOldOneEndsWithItsLast) {
  start();
  std::shared_ptr<Network> old = *registry_.network("net");
  for (const std::string version : {"2", "3"}) {
    put("parallel-" + version);
    const auto replaced = replace();
    ASSERT_TRUE(replaced.ok()) << replaced.status();
    EXPECT_EQ(serving(), version + ".0.0");
  }
  EXPECT_EQ(versionOf(old->instance()), "1.0.0");
  EXPECT_TRUE(eventually([&] { return registry_.draining().size() == 1; }));
  const Operation op("status");
  EXPECT_TRUE(old->status(op).ok());
  old = nullptr;
  EXPECT_TRUE(eventually([&] { return registry_.draining().empty(); }));
}

TEST_F(ReplacementTest, WhateverFailsLeavesTheOldOneServing) {
  start();
  const auto refused = [&](const std::string& why) {
    const absl::Status status = replace().status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr(path_), HasSubstr(why), Not(HasSubstr("restart"))));
    EXPECT_EQ(serving(), "1.0.0");
    EXPECT_TRUE(registry_.draining().empty());
  };
  // It does not load, is of another kind, or lacks something.
  put("unresolved");
  refused("berth_test_symbol_that_nobody_has");
  put("runtime");
  refused("is configured as a network");
  put("no-callback");
  refused("detach");
  // It does not take its options, or does not start.
  put("parallel-2");
  wanted_.options = {{"fail", "configure"}};
  refused("the value of fail does not please");
  wanted_.options = {{"unheard", 1}};
  refused("unheard");
  wanted_.options = {{"fail", "start"}};
  refused("the cable is unplugged");
  wanted_.options = {{"fail", "beside"}};
  refused("another one has the cable");
  wanted_.options = {};
  EXPECT_TRUE(replace().ok());
  EXPECT_EQ(serving(), "2.0.0");
}

TEST_F(ReplacementTest, AnotherPluginWaitsForTheNextStart) {
  start();
  put("serialized");
  const absl::Status status = replace().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("serialized is another one than parallel"), HasSubstr("a restart")));
  EXPECT_EQ(host_.logged({"create"}).size(), 1u);
  EXPECT_EQ(serving(), "1.0.0");
}

// Two would work in one place, and not every one has a lock.
TEST_F(ReplacementTest, ASnapshotterWaitsForTheNextStart) {
  wanted_ = {Kind::kSnapshotter, "snap", pluginPath("snapshotter"), {}};
  ASSERT_TRUE(registry_.load({wanted_}).ok());
  ASSERT_TRUE(registry_.start().ok());
  const absl::Status status = replace().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("snapshotter \"snap\""), HasSubstr("a restart of the daemon")));
  EXPECT_TRUE(registry_.draining().empty());
}

TEST_F(ReplacementTest, TheSameFileIsAnotherInstanceOfIt) {
  start();
  wanted_.options = {{"limit", 7}};
  const auto replaced = replace();
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_NE(replaced->before, replaced->after);
  EXPECT_EQ(replaced->before->library().description().functions,
            replaced->after->library().description().functions);
  EXPECT_EQ(registry_.instances()[0]->options().at("limit"), 7);
}

// Others of a table go on as they were.
TEST_F(ReplacementTest, OneInstanceOfAFileIsReplacedAlone) {
  put("parallel");
  Wanted other = wanted_;
  other.name = "other";
  ASSERT_TRUE(registry_.load({wanted_, other}).ok());
  ASSERT_TRUE(registry_.start().ok());
  put("parallel-2");
  ASSERT_TRUE(replace().ok());
  EXPECT_EQ(serving(), "2.0.0");
  EXPECT_EQ(versionOf(*registry_.instances()[1]), "1.0.0");
  wanted_.name = "missing";
  EXPECT_TRUE(absl::IsNotFound(replace().status()));
}

// Of those that may be left out; the first start of this one fails.
class LeftOutTest : public ReplacementTest {
 protected:
  const boost::json::object unplugged_{{"fail", "start"}};

  void startWithout() {
    wanted_.required = false;
    wanted_.options = unplugged_;
    start();
    ASSERT_TRUE(registry_.serving().empty());
    wanted_.options = {};
  }
  absl::Status tryAgain(std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const Operation op("try", Clock::now() + limit);
    return registry_.tryAgain(op, Kind::kNetwork, "net");
  }
  std::string why() const {
    const auto failure = registry_.failure(Kind::kNetwork, "net");
    return failure.has_value() ? std::string(failure->status.message()) : "";
  }
  using Clock = testing::Clock;
};

TEST_F(LeftOutTest, WhatIsLeftOutServesOnceItStarts) {
  startWithout();
  const absl::Status again = tryAgain();
  EXPECT_TRUE(absl::IsUnavailable(again)) << "its options are those of the start: " << again;
  EXPECT_EQ(why(), std::string(again.message()));
  EXPECT_THAT(why(), HasSubstr("the cable is unplugged"));
  EXPECT_TRUE(registry_.draining().empty());
  const auto replaced = replace();
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(replaced->before, nullptr);
  EXPECT_EQ(serving(), "1.0.0");
  EXPECT_TRUE(registry_.network("net").ok());
  EXPECT_TRUE(registry_.failures().empty());
  EXPECT_TRUE(absl::IsAlreadyExists(tryAgain()));
  put("parallel-2");
  ASSERT_TRUE(replace().ok()) << "as any other";
  EXPECT_EQ(serving(), "2.0.0");
}

TEST_F(LeftOutTest, AnotherPluginWaitsForTheNextStartAllTheSame) {
  startWithout();
  put("serialized");
  const absl::Status status = replace().status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("serialized is another one than parallel"));
  EXPECT_TRUE(registry_.serving().empty());
}

TEST_F(LeftOutTest, ATryThatTakesTooLongIsWaitedForByTheNext) {
  startWithout();
  Gate gate(host_, {"start"});
  Operation op("replace");
  auto first = std::async(std::launch::async, [&] { return registry_.replace(op, wanted_); });
  awaitStage("start the new form");
  op.cancel();
  const absl::Status late = first.get().status();
  EXPECT_TRUE(absl::IsCancelled(late)) << late;
  EXPECT_THAT(std::string(late.message()), HasSubstr("(start the new form); it stays out of"));
  const absl::Status next = tryAgain(std::chrono::milliseconds(50));
  EXPECT_EQ(next.message(), late.message()) << "it is told once";
  EXPECT_EQ(host_.logged({"create"}).size(), 2u) << "at the start, and by the first try";
  auto waiting = std::async(std::launch::async, [&] { return replace().status(); });
  gate.open("start");
  EXPECT_TRUE(waiting.get().ok());
  awaitLogged("stop", 1);
  EXPECT_EQ(serving(), "1.0.0") << "the late one is undone";
}

TEST_F(LeftOutTest, OneThatDoesNotSayWhatItOffersIsStoppedBeforeTheNext) {
  wanted_ = {Kind::kRuntime, "mute", pluginPath("runtime"), {}};
  wanted_.required = false;
  ASSERT_TRUE(registry_.load({wanted_}).ok());
  ASSERT_TRUE(registry_.start().ok());
  ASSERT_EQ(host_.logged({"start"}).size(), 1u);
  Gate gate(host_, {"stop"});
  Operation op("try");
  auto first = std::async(std::launch::async,
                          [&] { return registry_.tryAgain(op, Kind::kRuntime, "mute"); });
  awaitStage("stop the new form");
  op.cancel();
  EXPECT_TRUE(absl::IsCancelled(first.get()));
  const Operation second("try", Clock::now() + std::chrono::milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(registry_.tryAgain(second, Kind::kRuntime, "mute")));
  EXPECT_EQ(host_.logged({"start"}).size(), 2u) << "none is beside it";
  gate.open("stop");
  const Operation third("try", Clock::now() + std::chrono::seconds(20));
  const absl::Status failed = registry_.tryAgain(third, Kind::kRuntime, "mute");
  EXPECT_THAT(std::string(failed.message()), HasSubstr("features of mute"));
  EXPECT_EQ(host_.logged({"stop"}).size(), 3u);
}

TEST_F(LeftOutTest, TheEndComesFirst) {
  startWithout();
  registry_.stop();
  EXPECT_TRUE(absl::IsUnavailable(replace().status()));
  EXPECT_TRUE(registry_.serving().empty());
}

TEST_F(LeftOutTest, ATryLeavesNoTableBehind) {
  startWithout();
  const auto tableOf = [&](const std::string& name) {
    const HostTable table("network", name, host_.services());
    return table.get();
  };
  const berth_host* const first = tableOf("net");
  EXPECT_FALSE(tryAgain().ok());
  EXPECT_EQ(tableOf("net"), first);
  EXPECT_NE(tableOf("other"), first);
  {
    const HostTable table("network", "net", host_.services());
    table.enter(HostPhase::kRunning);
    EXPECT_EQ(table.get(), first);
  }
  EXPECT_NE(tableOf("net"), first) << "threads of its plugin may still have it";
}

TEST_F(ReplacementTest, NoMoreThanAFewFormsAreKept) {
  start();
  std::vector<std::shared_ptr<Network>> users{*registry_.network("net")};
  for (size_t i = 1; i < Registry::kMostForms; ++i) {
    put("parallel-2");
    ASSERT_TRUE(replace().ok());
    users.push_back(*registry_.network("net"));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(replace().status()));
  // One that does not stop is still there.
  Gate gate(host_, {"stop"});
  users.erase(users.begin());
  EXPECT_TRUE(absl::IsResourceExhausted(replace().status()));
  gate.open("stop");
  awaitLogged("destroy", 1);
  EXPECT_TRUE(eventually([&] { return replace().ok(); }));
}

TEST_F(ReplacementTest, AStartThatTakesTooLongIsGivenUpAndUndoneWhenItSucceeds) {
  start();
  put("parallel-2");
  Gate gate(host_, {"start"});
  const absl::Status late = replace(std::chrono::milliseconds(200)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_THAT(std::string(late.message()), HasSubstr("start the new form"));
  EXPECT_TRUE(absl::IsAborted(replace().status())) << "it is still being made";
  gate.open("start");
  awaitLogged("destroy", 1);
  EXPECT_EQ(host_.logged({"stop"}).size(), 1u);
  EXPECT_EQ(serving(), "1.0.0");
  EXPECT_TRUE(registry_.draining().empty());
  EXPECT_TRUE(eventually([&] { return replace().ok(); }));
}

TEST_F(ReplacementTest, OneThatIsTooLateCountsUntilItIsGone) {
  start();
  put("parallel-2");
  std::vector<std::shared_ptr<Network>> users{*registry_.network("net")};
  for (size_t i = 2; i < Registry::kMostForms; ++i) {
    ASSERT_TRUE(replace().ok());
    users.push_back(*registry_.network("net"));
  }
  Gate gate(host_, {"start", "stop"});
  ASSERT_TRUE(absl::IsDeadlineExceeded(replace(std::chrono::milliseconds(50)).status()));
  gate.open("start");
  absl::Status next;
  EXPECT_TRUE(eventually([&] { return !absl::IsAborted(next = replace().status()); }));
  EXPECT_TRUE(absl::IsResourceExhausted(next)) << next;
  gate.open("stop");
  EXPECT_TRUE(eventually([&] { return replace().ok(); }));
}

// That it is not lost where the one before is told in the moment of the switch.
TEST_F(ReplacementTest, ARangeThatIsToldMeanwhileIsToldAgain) {
  start();
  const Operation op("range");
  const auto old = *registry_.network("net");
  ASSERT_TRUE(old->setPodCidr(op, "10.7.0.0/24").ok());
  put("parallel-2");
  Gate gate(host_, {"range 10.7.0.0/24"});
  auto replaced = std::async(std::launch::async, [&] { return replace().status(); });
  awaitStage("tell the new form the pods' address range");
  ASSERT_TRUE(old->setPodCidr(op, "10.8.0.0/24").ok());
  gate.open("range 10.7.0.0/24");
  EXPECT_TRUE(replaced.get().ok());
  EXPECT_EQ((*registry_.network("net"))->podCidr(), "10.8.0.0/24");
}

TEST_F(ReplacementTest, ANetworkIsToldThePodsRangeBeforeItServes) {
  start();
  const Operation op("range");
  ASSERT_TRUE((*registry_.network("net"))->setPodCidr(op, "10.7.0.0/24").ok());
  for (const char* plugin : {"parallel-2", "parallel-3"}) {
    put(plugin);
    ASSERT_TRUE(replace().ok());
    NetworkRequest request;
    request.name = "process";
    const auto attached = (*registry_.network("net"))->attach(op, request);
    ASSERT_TRUE(attached.ok()) << attached.status();
    EXPECT_THAT(attached->result, HasSubstr("10.7.0.0/24"));
  }
}

// No call is lost, and none meets an instance that has been stopped.
TEST_F(ReplacementTest, CallsGoOnWhileInstancesComeAndGo) {
  start();
  std::atomic<bool> over = false;
  std::atomic<int> calls = 0;
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      const Operation op("attach");
      while (!over) {
        const auto network = registry_.network("net");
        ASSERT_TRUE(network.ok()) << network.status();
        const auto attached = (*network)->attach(op, {});
        EXPECT_TRUE(attached.ok()) << attached.status();
        EXPECT_FALSE((*network)->instance().library().name().empty());
        ++calls;
      }
    });
  std::thread looker([&] {
    while (!over)
      for (const auto& form : registry_.draining())
        EXPECT_EQ(form->instance->state(), InstanceState::kStarted);
  });
  for (int round = 0; round < 30; ++round) {
    put(round % 2 == 0 ? "parallel-2" : "parallel");
    // Those of before may be about to go.
    EXPECT_TRUE(eventually([&] { return replace().ok(); }));
    const int before = calls;
    EXPECT_TRUE(eventually([&] { return calls > before + 8; }));
  }
  over = true;
  for (std::thread& caller : callers) caller.join();
  looker.join();
  awaitLogged("destroy", 30);
}

TEST_F(ReplacementTest, AnIsolatedOneHasAProcessOfItsOwn) {
  wanted_.isolation = {.process = true, .program = test_paths::pluginHost};
  start();
  std::shared_ptr<Network> old = *registry_.network("net");
  const pid_t before = old->instance().process()->pid;
  put("parallel-2");
  ASSERT_TRUE(replace().ok());
  EXPECT_NE(registry_.instances()[0]->process()->pid, before);
  EXPECT_EQ(::kill(before, 0), 0);
  old = nullptr;
  EXPECT_TRUE(eventually([&] { return ::kill(before, 0) != 0; }));
}

}  // namespace
}  // namespace berth::plugins
