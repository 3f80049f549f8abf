// A plugin replaced while it runs.
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::pluginPath;
using testing::TestHost;
using Clock = std::chrono::steady_clock;

bool eventually(const std::function<bool()>& holds) {
  const auto until = Clock::now() + std::chrono::seconds(20);
  while (Clock::now() < until) {
    if (holds()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return holds();
}

// Keeps plugins that say `message` from going on until it is opened.
class Gate {
 public:
  Gate(TestHost& host, std::string message) {
    host.onLog = [state = state_, message = std::move(message)](std::string_view said,
                                                                const LogFields&) {
      std::unique_lock lock(state->mutex);
      state->changed.wait(lock, [&] { return state->open || said != message; });
    };
  }
  ~Gate() { open(); }
  void open() const {
    const std::lock_guard lock(state_->mutex);
    state_->open = true;
    state_->changed.notify_all();
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable changed;
    bool open = false;
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class ReplacementTest : public ::testing::Test {
 protected:
  TestHost host_;
  Registry registry_{{}, host_.services()};
  const std::string path_ = host_.directory() / "berth-mine.so";
  Wanted wanted_{Kind::kNetwork, "net", path_, {}};

  void put(const std::string& plugin) const {
    const std::string next = host_.directory() / "next.so";
    std::filesystem::copy_file(pluginPath(plugin), next);
    std::filesystem::rename(next, path_);
  }
  void start() {
    put("parallel");
    ASSERT_TRUE(registry_.load({wanted_}).ok());
    ASSERT_TRUE(registry_.start().ok());
  }
  absl::StatusOr<Registry::Replacement> replace(
      std::chrono::milliseconds limit = std::chrono::seconds(20)) {
    const Operation op("replace", Clock::now() + limit);
    return registry_.replace(op, wanted_);
  }
  void awaitLogged(const std::string& message, size_t times) const {
    EXPECT_TRUE(eventually([&] { return host_.logged({message}).size() >= times; })) << message;
  }
  std::string serving() const { return registry_.instances()[0]->library().name(); }
};

TEST_F(ReplacementTest, NewUsersHaveTheNewFormAndTheOldOneEndsWithItsLast) {
  start();
  std::shared_ptr<Network> old = *registry_.network("net");
  for (const char* plugin : {"serialized", "per_object"}) {
    put(plugin);
    const auto replaced = replace();
    ASSERT_TRUE(replaced.ok()) << replaced.status();
    EXPECT_EQ(serving(), plugin);
  }
  EXPECT_EQ(old->instance().library().name(), "parallel");
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
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path_), HasSubstr(why)));
    EXPECT_EQ(serving(), "parallel");
    EXPECT_TRUE(registry_.draining().empty());
  };
  // It does not load, is of another kind, lacks something, or cannot be made.
  put("unresolved");
  refused("berth_test_symbol_that_nobody_has");
  put("runtime");
  refused("is configured as a network");
  put("no-callback");
  refused("detach");
  put("failing-create");
  refused("no room");
  // It does not take its options, or does not start.
  put("serialized");
  wanted_.options = {{"fail", "configure"}};
  refused("the value of fail does not please");
  wanted_.options = {{"unheard", 1}};
  refused("unheard");
  wanted_.options = {{"fail", "start"}};
  refused("the cable is unplugged");
  wanted_.options = {{"fail", "beside"}};
  refused("replaced by a restart of the daemon");
  wanted_.options = {};
  EXPECT_TRUE(replace().ok());
  EXPECT_EQ(serving(), "serialized");
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
  put("serialized");
  ASSERT_TRUE(replace().ok());
  EXPECT_EQ(registry_.instances()[0]->library().name(), "serialized");
  EXPECT_EQ(registry_.instances()[1]->library().name(), "parallel");
  wanted_.name = "missing";
  EXPECT_TRUE(absl::IsNotFound(replace().status()));
}

TEST_F(ReplacementTest, NoMoreThanAFewFormsAreKept) {
  start();
  std::vector<std::shared_ptr<Network>> users{*registry_.network("net")};
  for (size_t i = 1; i < Registry::kMostForms; ++i) {
    put("serialized");
    ASSERT_TRUE(replace().ok());
    users.push_back(*registry_.network("net"));
  }
  EXPECT_TRUE(absl::IsResourceExhausted(replace().status()));
  // One that does not stop is still there.
  Gate gate(host_, "stop");
  users.erase(users.begin());
  EXPECT_TRUE(absl::IsResourceExhausted(replace().status()));
  gate.open();
  awaitLogged("destroy", 1);
  EXPECT_TRUE(eventually([&] { return replace().ok(); }));
}

TEST_F(ReplacementTest, AStartThatTakesTooLongIsGivenUpAndUndoneWhenItSucceeds) {
  start();
  put("serialized");
  Gate gate(host_, "start");
  const absl::Status late = replace(std::chrono::milliseconds(200)).status();
  EXPECT_TRUE(absl::IsDeadlineExceeded(late)) << late;
  EXPECT_THAT(std::string(late.message()), HasSubstr("start the new form"));
  EXPECT_TRUE(absl::IsAborted(replace().status())) << "it is still being made";
  gate.open();
  awaitLogged("destroy", 1);
  EXPECT_EQ(host_.logged({"stop"}).size(), 1u);
  EXPECT_EQ(serving(), "parallel");
  EXPECT_TRUE(registry_.draining().empty());
  EXPECT_TRUE(eventually([&] { return replace().ok(); }));
}

TEST_F(ReplacementTest, ANetworkIsToldThePodsRangeBeforeItServes) {
  start();
  const Operation op("range");
  ASSERT_TRUE((*registry_.network("net"))->setPodCidr(op, "10.7.0.0/24").ok());
  for (const char* plugin : {"serialized", "per_object"}) {
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
    put(round % 2 == 0 ? "serialized" : "parallel");
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

// What stop() waits for, in order.
class Ending {
 public:
  explicit Ending(Registry& registry)
      : thread_([this, &registry] {
          registry.stop([this](const std::string& next) {
            const std::lock_guard lock(mutex_);
            told_.push_back(next);
          });
        }) {}
  ~Ending() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  std::vector<std::string> told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
  std::thread thread_;
};

TEST_F(ReplacementTest, TheEndWaitsForWhatIsReplaced) {
  start();
  put("serialized");
  Gate gate(host_, "start");
  EXPECT_FALSE(replace(std::chrono::milliseconds(50)).ok());
  Ending ending(registry_);
  EXPECT_TRUE(eventually([&] { return absl::IsUnavailable(replace().status()); }));
  EXPECT_TRUE(eventually([&] { return !ending.told().empty(); }));
  EXPECT_THAT(ending.told(), ElementsAre("network \"net\" to be replaced"));
  EXPECT_TRUE(host_.logged({"stop"}).empty());
  gate.open();
  ending.join();
  EXPECT_EQ(host_.logged({"stop"}).size(), 2u);
}

TEST_F(ReplacementTest, TheEndNamesWhatDoesNotStop) {
  start();
  put("serialized");
  Gate gate(host_, "stop");
  ASSERT_TRUE(replace().ok());
  EXPECT_TRUE(eventually([&] { return registry_.draining().empty(); }));
  Ending ending(registry_);
  EXPECT_TRUE(eventually([&] { return !ending.told().empty(); }));
  EXPECT_THAT(ending.told().front(), HasSubstr("network net (plugin parallel) to stop"));
  EXPECT_TRUE(host_.logged({"destroy"}).empty());
  gate.open();
  ending.join();
  EXPECT_EQ(host_.logged({"destroy"}).size(), 1u);
}

TEST_F(ReplacementTest, TheEndStopsWhatIsStillInUseFirst) {
  start();
  const auto user = registry_.network("net");
  put("serialized");
  ASSERT_TRUE(replace().ok());
  Ending ending(registry_);
  ending.join();
  auto told = ending.told();
  ASSERT_GE(told.size(), 2u);
  told.erase(told.begin(), told.end() - 2);
  EXPECT_THAT(told, ElementsAre("network net (plugin parallel) to stop",
                                "network net (plugin serialized) to stop"));
}

TEST_F(ReplacementTest, AnIsolatedOneHasAProcessOfItsOwn) {
  wanted_.isolation = {.process = true, .program = TEST_PLUGIN_HOST};
  start();
  std::shared_ptr<Network> old = *registry_.network("net");
  const pid_t before = old->instance().process()->pid;
  put("serialized");
  ASSERT_TRUE(replace().ok());
  EXPECT_NE(registry_.instances()[0]->process()->pid, before);
  EXPECT_EQ(::kill(before, 0), 0);
  old = nullptr;
  EXPECT_TRUE(eventually([&] { return ::kill(before, 0) != 0; }));
}

}  // namespace
}  // namespace berth::plugins
