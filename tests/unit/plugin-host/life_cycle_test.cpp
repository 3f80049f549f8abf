// The order in which instances start and stop.
#include <algorithm>
#include <chrono>
#include <memory>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::pluginPath;
using testing::TestHost;

class LifeCycleTest : public ::testing::Test {
 protected:
  TestHost host_;
  Registry registry_{{test_paths::plugins}, host_.services()};

  std::vector<std::string> order() const { return host_.logged({"start", "stop"}); }
};

TEST_F(LifeCycleTest, StartsWhatOthersUseFirstAndStopsInReverse) {
  ASSERT_TRUE(registry_
                  .load({{Kind::kRuntime, "run", "runtime", {}},
                         {Kind::kNetwork, "net", "parallel", {}},
                         {Kind::kSnapshotter, "snap", "snapshotter", {}},
                         {Kind::kImageSource, "files", "source", {{"directory", "/nowhere"}}}})
                  .ok());
  EXPECT_TRUE(order().empty()) << "nothing starts before start()";
  std::vector<std::string> waits;
  const auto note = [&](const std::string& next) { waits.push_back(next); };
  ASSERT_TRUE(registry_.start(note).ok());
  std::vector<std::string> expected;
  for (const char* what : {"to start", "to say what it offers"}) {
    for (const char* plugin :
         {"image source files (plugin test-source)", "snapshotter snap (plugin test-snapshotter)",
          "network net (plugin parallel)", "runtime run (plugin test-runtime)"})
      expected.push_back(support::strCat(plugin, " ", what));
  }
  EXPECT_EQ(waits, expected);
  registry_.stop();
  registry_.stop();
  EXPECT_THAT(order(), ElementsAre("files: start", "snap: start", "net: start", "run: start",
                                   "run: stop", "net: stop", "snap: stop", "files: stop"));
}

TEST_F(LifeCycleTest, AFailingStartStopsThoseThatHaveStarted) {
  ASSERT_TRUE(registry_
                  .load({{Kind::kSnapshotter, "snap", "snapshotter", {}},
                         {Kind::kNetwork, "bad", "parallel", {{"fail", "start"}}},
                         {Kind::kNetwork, "good", "serialized", {}}})
                  .ok());
  const absl::Status status = registry_.start();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(support::fromAbsl(status.message())),
              AllOf(HasSubstr(pluginPath("parallel")), HasSubstr("(plugin parallel, "),
                    HasSubstr("network \"bad\": start: the cable is unplugged")));
  const std::vector<std::string> lines = order();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "snap: start"), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "snap: stop"), 1);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "bad: stop"), 0) << "it never started";
  EXPECT_EQ(std::count(lines.begin(), lines.end(), "good: start"),
            std::count(lines.begin(), lines.end(), "good: stop"));
  for (const auto& instance : registry_.instances()) {
    EXPECT_NE(instance->state(), InstanceState::kStarted) << instance->name();
  }
}

TEST_F(LifeCycleTest, TheOthersServeWithoutOneThatIsNotRequired) {
  Wanted spare{Kind::kNetwork, "bad", "parallel", {{"fail", "start"}}};
  spare.required = false;
  ASSERT_TRUE(registry_
                  .load({{Kind::kSnapshotter, "snap", "snapshotter", {}},
                         spare,
                         {Kind::kNetwork, "good", "serialized", {}}})
                  .ok());
  ASSERT_TRUE(registry_.start().ok());
  EXPECT_EQ(registry_.instances().size(), 2u);
  EXPECT_EQ(registry_.networks().size(), 1u);
  EXPECT_TRUE(registry_.network("good").ok());
  EXPECT_FALSE(registry_.network("bad").ok());
  ASSERT_EQ(registry_.failures().size(), 1u);
  EXPECT_FALSE(registry_.failure(Kind::kNetwork, "good").has_value());
  EXPECT_FALSE(registry_.failure(Kind::kRuntime, "bad").has_value());
  const std::optional<Failure> failure = registry_.failure(Kind::kNetwork, "bad");
  ASSERT_TRUE(failure.has_value());
  EXPECT_THAT(std::string(support::fromAbsl(failure->status.message())),
              HasSubstr("network \"bad\": start: the cable is unplugged"));
  EXPECT_THAT(host_.log(), Contains("bad: destroy"));
  registry_.stop();
  EXPECT_THAT(order(), Not(Contains("bad: stop"))) << "it never started";
}

TEST(LifeCycle, EveryStepHappensOnceAndInOrder) {
  TestHost host;
  {
    Registry registry({test_paths::plugins}, host.services());
    ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", "parallel", {{"limit", 9}}}}).ok());
    ASSERT_TRUE(registry.start().ok());
    EXPECT_EQ(registry.instances()[0]->state(), InstanceState::kStarted);
    EXPECT_EQ(registry.instances()[0]->options(),
              (boost::json::object{{"fail", "nothing"}, {"limit", 9}}));
  }
  EXPECT_THAT(host.log(),
              ElementsAre("net: create", R"(net: configure options={"fail":"nothing","limit":9})",
                          "net: start", "net: stop", "net: destroy"));
}

TEST_F(LifeCycleTest, TwoInstancesOfOneFileAreSeparate) {
  ASSERT_TRUE(registry_
                  .load({{Kind::kNetwork, "a", "parallel", {}},
                         {Kind::kNetwork, "b", "parallel", {{"limit", 1}}}})
                  .ok());
  ASSERT_TRUE(registry_.start().ok());
  EXPECT_NE(registry_.instances()[0]->handle(), registry_.instances()[1]->handle());
  EXPECT_EQ(registry_.instances()[1]->options().at("limit"), 1);
}

TEST_F(LifeCycleTest, WhatIsNotConfiguredIsAnsweredWithWhatIs) {
  ASSERT_TRUE(
      registry_.load({{Kind::kNetwork, "a", "parallel", {}}, {Kind::kNetwork, "b", "parallel", {}}})
          .ok());
  EXPECT_EQ((*registry_.network("b"))->name(), "b");
  const auto missing = registry_.network("c");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(support::fromAbsl(missing.status().message())),
              AllOf(HasSubstr("no network \"c\""), HasSubstr("there are: a, b")));
  EXPECT_EQ(registry_.runtime("a").status().code(), absl::StatusCode::kFailedPrecondition);
}

// In this process, and in its own.
class GhostTest : public ::testing::TestWithParam<bool> {};

TEST_P(GhostTest, WhoCallsAfterStopIsNamedAndNotHeard) {
  auto host = std::make_unique<TestHost>();
  auto registry =
      std::make_unique<Registry>(std::vector<std::string>{test_paths::plugins}, host->services());
  Wanted wanted{Kind::kNetwork, "net", "parallel", {{"fail", "haunt"}}};
  wanted.isolation = {.process = GetParam(), .program = test_paths::pluginHost};
  ASSERT_TRUE(registry->load({wanted}).ok());
  ASSERT_TRUE(registry->start().ok());
  while (host->events().empty() || host->states().empty()) std::this_thread::yield();
  registry->stop();
  const size_t heard = host->events().size();
  const std::string told =
      "net: the plugin calls emit_event after stop, which it must not: it is not heard";
  const auto count = [&] {
    const auto log = host->log();
    return std::count(log.begin(), log.end(), told) +
           std::count_if(log.begin(), log.end(), [](const std::string& line) {
             return line.find("the plugin calls save_state after stop") != std::string::npos;
           });
  };
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (count() == 0 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
  const size_t lines = host->log().size();
  while (host->log().size() < lines + 10) std::this_thread::yield();
  EXPECT_EQ(count(), 1) << "it is told once";
  EXPECT_EQ(host->events().size(), heard);
  // It goes on when there is no instance and no host any more.
  registry.reset();
  host.reset();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

INSTANTIATE_TEST_SUITE_P(Isolation, GhostTest, ::testing::Bool());

TEST_F(LifeCycleTest, AnExceptionOutOfStopIsKeptFromTheHost) {
  ASSERT_TRUE(registry_.load({{Kind::kNetwork, "net", "throwing-stop", {}}}).ok());
  ASSERT_TRUE(registry_.start().ok());
  registry_.stop();
  EXPECT_EQ(registry_.instances()[0]->state(), InstanceState::kStopped);
  ASSERT_EQ(host_.log().size(), 1u);
  EXPECT_THAT(host_.log()[0], HasSubstr("let an exception out"));
}

}  // namespace
}  // namespace berth::plugins
