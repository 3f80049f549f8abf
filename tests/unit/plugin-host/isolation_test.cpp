// Plugins in processes of their own: what becomes of calls, instances and pods when those end.
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::pluginPath;
using testing::TestHost;
using Clock = std::chrono::steady_clock;

std::string messageOf(const absl::Status& status) {
  return std::string(support::fromAbsl(status.message()));
}

class IsolationTest : public ::testing::Test {
 protected:
  TestHost host_;
  Registry registry_{{test_paths::plugins}, host_.services()};

  static Wanted wanted(Kind kind, const std::string& name, const std::string& plugin) {
    Wanted one{kind, name, plugin, {}};
    one.isolation = {.process = true, .program = test_paths::pluginHost};
    return one;
  }
  Network& startNetwork(const std::string& plugin = "parallel") {
    const absl::Status loaded = registry_.load({wanted(Kind::kNetwork, "net", plugin)});
    EXPECT_TRUE(loaded.ok()) << loaded;
    const absl::Status started = registry_.start();
    EXPECT_TRUE(started.ok()) << started;
    return **registry_.network("net");
  }
  absl::StatusOr<NetworkResult> attach(Network& network, const std::string& behaviour,
                                       Clock::time_point deadline = Clock::time_point::max()) {
    Operation op("attach", deadline);
    NetworkRequest request;
    request.pod = "pod-1";
    request.name = behaviour;
    return network.attach(op, request);
  }
  Library::ProcessState process() { return *registry_.instances()[0]->process(); }
  // Until it is there again, which takes longer with each time that it ends.
  absl::StatusOr<NetworkResult> attachOnceItIsBack(Network& network, const std::string& behaviour) {
    const auto until = Clock::now() + std::chrono::seconds(20);
    auto result = attach(network, behaviour);
    while (absl::IsUnavailable(result.status()) && Clock::now() < until) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      result = attach(network, behaviour);
    }
    return result;
  }
};

TEST_F(IsolationTest, TheCodeRunsElsewhere) {
  Network& network = startNetwork();
  const auto result = attach(network, "process");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->result, std::to_string(process().pid) + "\n");
  EXPECT_NE(process().pid, ::getpid());
  EXPECT_EQ(process().restarts, 0u);
}

TEST_F(IsolationTest, ACallThatKillsItsProcessFailsAndTheNextOneWorks) {
  Network& network = startNetwork();
  const pid_t before = process().pid;
  const auto died = attach(network, "die");
  EXPECT_EQ(died.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(
      messageOf(died.status()),
      AllOf(HasSubstr("plugin net"), HasSubstr(std::to_string(before)), HasSubstr("signal 9")));
  const auto next = attach(network, "process");
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_NE(next->result, std::to_string(before) + "\n");
  EXPECT_EQ(process().restarts, 1u);
  EXPECT_THAT(host_.logged({"create", "start"}),
              ElementsAre("net: create", "net: start", "net: create", "net: start"));
}

TEST_F(IsolationTest, ACallUnderWayNoticesTheEnd) {
  Network& network = startNetwork();
  absl::Status status;
  Operation op("attach");
  std::thread caller([&] {
    NetworkRequest request;
    request.name = "wait";
    status = network.attach(op, request).status();
  });
  while (op.stage() != "wait to be cancelled") std::this_thread::yield();
  ::kill(process().pid, SIGSEGV);
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(status), HasSubstr("plugin net"));
}

TEST_F(IsolationTest, AProcessThatDiesOverAndOverIsStartedEverMoreSlowly) {
  Network& network = startNetwork();
  EXPECT_TRUE(absl::IsUnavailable(attach(network, "die").status()));
  ASSERT_TRUE(attachOnceItIsBack(network, "process").ok());
  EXPECT_TRUE(absl::IsUnavailable(attach(network, "die").status()));
  const auto soon = Clock::now() + std::chrono::milliseconds(500);
  // It waits now: calls do not.
  absl::Status refused;
  while (Clock::now() < soon) refused = attach(network, "process").status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(refused), HasSubstr("started again in 1 s"));
  EXPECT_EQ(process().pid, 0);
  EXPECT_TRUE(attachOnceItIsBack(network, "process").ok());
  EXPECT_EQ(process().restarts, 2u);
}

TEST_F(IsolationTest, AProcessThatKeepsDyingIsOutUntilOneLasts) {
  Network& network = startNetwork();
  EXPECT_FALSE(process().outage);
  const auto begin = Clock::now();
  EXPECT_TRUE(absl::IsUnavailable(attach(network, "die").status()));
  ASSERT_TRUE(attachOnceItIsBack(network, "process").ok());
  // That it is there does not say that it stays.
  ASSERT_TRUE(process().outage);
  const auto since = process().outage->since;
  EXPECT_GE(since, begin);
  EXPECT_THAT(process().outage->why, AllOf(HasSubstr("plugin net"), HasSubstr("signal 9")));
  EXPECT_TRUE(absl::IsUnavailable(attach(network, "die").status()));
  ASSERT_TRUE(attachOnceItIsBack(network, "process").ok());
  ASSERT_TRUE(process().outage);
  EXPECT_EQ(process().outage->since, since) << "it is the same one";
  const auto until = Clock::now() + std::chrono::seconds(60);
  while (process().outage && Clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(process().outage);
}

TEST_F(IsolationTest, APluginThatDoesNotReturnIsEnded) {
  Network& network = startNetwork();
  const auto begin = Clock::now();
  const auto hung = attach(network, "hang", begin + std::chrono::milliseconds(100));
  EXPECT_EQ(hung.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(hung.status()),
              AllOf(HasSubstr("plugin net"), HasSubstr("did not return")));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(15));
  EXPECT_TRUE(attachOnceItIsBack(network, "").ok());
}

TEST_F(IsolationTest, ANewProcessHearsTheAddressRange) {
  Network& network = startNetwork();
  Operation op("test");
  ASSERT_TRUE(network.setPodCidr(op, "10.9.0.0/16").ok());
  EXPECT_TRUE(absl::IsUnavailable(attach(network, "die").status()));
  const auto result = attachOnceItIsBack(network, "process");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->result, ::testing::EndsWith("\n10.9.0.0/16"));
}

TEST_F(IsolationTest, AFileThatCannotBeLoadedSaysWhy) {
  for (const char* plugin :
       {"wrong-major",    "newer-minor",   "no-callback",     "past-table",     "old-major",
        "no-size",        "no-table-size", "no-interface",    "no-threading",   "null-name",
        "no-create",      "no-functions",  "no-version",      "odd-text",       "odd-threading",
        "odd-interface",  "bad-options",   "null-entry",      "throwing-entry", "no-entry",
        "unresolved",     "runtime",       "throwing-create", "failing-create", "endless-name",
        "endless-options"}) {
    Registry apart({test_paths::plugins}, host_.services());
    Registry inProcess({test_paths::plugins}, host_.services());
    const absl::Status isolated = apart.load({wanted(Kind::kNetwork, "net", plugin)});
    EXPECT_EQ(isolated, inProcess.load({{Kind::kNetwork, "net", plugin, {}}})) << plugin;
    EXPECT_FALSE(isolated.ok());
  }
}

// As that of a daemon that was killed a moment ago.
TEST_F(IsolationTest, AProcessWaitsForTheEndOfTheOneBefore) {
  ASSERT_TRUE(registry_.load({wanted(Kind::kNetwork, "net", "parallel")}).ok());
  std::filesystem::create_directories(host_.directory() / "state/plugins");
  const std::string path = host_.directory() / "state/plugins/network-net.lock";
  support::Fd before(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct flock whole {};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  ASSERT_EQ(::fcntl(before.get(), F_SETLK, &whole), 0);
  absl::Status started;
  std::thread starter([&] { started = registry_.start(); });
  const std::vector<std::string> waits = {"waits for the end of the process that had its place"};
  while (host_.logged(waits).empty()) std::this_thread::yield();
  EXPECT_THAT(host_.logged({"start"}), ElementsAre());
  before.reset();
  starter.join();
  EXPECT_TRUE(started.ok()) << started;
  EXPECT_THAT(host_.logged({"start"}), ElementsAre("net: start"));
}

TEST_F(IsolationTest, WhatWasSaidBeforeStopReturnedHasComeBefore) {
  Wanted one = wanted(Kind::kNetwork, "net", "parallel");
  one.options = {{"fail", "chatter"}};
  ASSERT_TRUE(registry_.load({one}).ok());
  ASSERT_TRUE(registry_.start().ok());
  registry_.stop();
  EXPECT_EQ(host_.logged({"chatter"}).size(), 1000u);
}

// Of an upgrade of the plugin's package, say: the daemon goes on with what it has checked.
TEST_F(IsolationTest, AProcessIsStartedAgainFromTheFileItHadWhateverIsThereNow) {
  const std::string path = host_.directory() / "berth-mine.so";
  std::filesystem::copy_file(pluginPath("parallel"), path);
  Network& network = startNetwork(path);
  // Of another name and threading.
  const std::string next = host_.directory() / "next.so";
  std::filesystem::copy_file(pluginPath("serialized"), next);
  std::filesystem::rename(next, path);
  const auto startAgain = [&] {
    const uint32_t before = process().restarts;
    ::kill(process().pid, SIGKILL);
    const auto until = Clock::now() + std::chrono::seconds(20);
    while (process().restarts == before && Clock::now() < until) std::this_thread::yield();
    return attach(network, "").status();
  };
  ASSERT_EQ(startAgain(), absl::OkStatus());
  std::filesystem::remove(path);
  EXPECT_EQ(startAgain(), absl::OkStatus());
}

TEST_F(IsolationTest, AVendorsExtensionStaysInTheProcessAndThatIsTold) {
  startNetwork("future");
  const Instance& instance = *registry_.instances()[0];
  size_t table[3] = {};
  for (int i = 0; i < 2; ++i)
    EXPECT_FALSE(instance.extension("com.example.future", 1, table, sizeof table));
  EXPECT_FALSE(instance.extension("com.example.future", 2, table, sizeof table));
  EXPECT_THAT(host_.log(),
              ElementsAre(HasSubstr("net: offers the extension com.example.future, revision 1, "
                                    "which does not get out of its process")));
}

TEST_F(IsolationTest, ARuntimesPodsAreRecoveredAndTheirExitsReported) {
  ASSERT_TRUE(registry_.load({wanted(Kind::kRuntime, "run", "runtime")}).ok());
  ASSERT_TRUE(registry_.start().ok());
  Runtime& runtime = **registry_.runtime("run");
  Operation op("test");
  PodSpec spec;
  spec.id = "pod-1";
  // The test plugin saves it as its state, and recovers a container of that name.
  spec.hostname = "container-9";
  ASSERT_TRUE(runtime.createPod(op, spec).ok());
  ::kill(process().pid, SIGKILL);
  const auto until = Clock::now() + std::chrono::seconds(20);
  while (host_.events().empty() && Clock::now() < until) std::this_thread::yield();
  const auto events = host_.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].second.kind, BERTH_EVENT_CONTAINER_EXITED);
  EXPECT_EQ(events[0].second.pod, "pod-1");
  EXPECT_EQ(events[0].second.container, "container-9");
  EXPECT_EQ(events[0].second.exitCode, 137);
  EXPECT_EQ(events[0].second.flags, static_cast<uint32_t>(BERTH_EVENT_OOM_KILLED));
}

// Pods that a new process does not recover at once are asked for again while it serves others.
class LateRecoveryTest : public IsolationTest, public ::testing::WithParamInterface<const char*> {
 protected:
  Operation op_{"test"};
  Runtime* runtime_ = nullptr;

  // A runtime whose process has ended.
  void startWith(const std::vector<std::string>& pods) {
    ASSERT_TRUE(registry_.load({wanted(Kind::kRuntime, "run", GetParam())}).ok());
    ASSERT_TRUE(registry_.start().ok());
    runtime_ = registry_.runtime("run")->get();
    for (const std::string& pod : pods) {
      PodSpec spec;
      spec.id = pod;
      spec.hostname = pod + "-1";
      ASSERT_TRUE(runtime_->createPod(op_, spec).ok());
    }
    ::kill(process().pid, SIGKILL);
  }
  size_t count(const std::string& text) {
    const auto log = host_.log();
    return static_cast<size_t>(std::count_if(log.begin(), log.end(), [&](const std::string& line) {
      return line.find(text) != std::string::npos;
    }));
  }
  size_t stuck() { return count("asked for a pod that is stuck"); }
  template <class Condition>
  bool comesTrue(Condition&& condition) {
    const auto until = Clock::now() + std::chrono::seconds(60);
    while (!condition() && Clock::now() < until)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return condition();
  }
};

TEST_P(LateRecoveryTest, ItsTurnComesBetweenOtherCalls) {
  startWith({"late"});
  int calls = 0;
  EXPECT_TRUE(comesTrue([&] {
    const absl::Status started = runtime_->startPod(op_, "late");
    EXPECT_TRUE(started.ok() || absl::IsUnavailable(started)) << started;
    ++calls;
    return !host_.events().empty();
  }));
  EXPECT_EQ(count("it is asked for again"), 1u);
  EXPECT_GT(calls, 10);
  EXPECT_EQ(count("two calls at once"), 0u);
}

TEST_P(LateRecoveryTest, OneThatIsRemovedMeanwhileIsNotAskedForAgain) {
  startWith({"late", "late-too"});
  EXPECT_TRUE(comesTrue([&] { return count("it is asked for again") == 2; }));
  EXPECT_TRUE(runtime_->removePod(op_, "late").ok());
  EXPECT_TRUE(comesTrue([&] { return !host_.events().empty(); }));
  registry_.stop();
  ASSERT_EQ(host_.events().size(), 1u);
  EXPECT_EQ(host_.events()[0].second.pod, "late-too");
}

TEST_P(LateRecoveryTest, OnesThatAreStuckDoNotKeepOthers) {
  startWith({"late", "stuck", "stuck-too"});
  EXPECT_TRUE(comesTrue([&] { return stuck() > 2; }));
  const auto begin = Clock::now();
  EXPECT_TRUE(runtime_->startPod(op_, "another").ok());
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(comesTrue([&] { return host_.events().size() == 1; }));
}

TEST_P(LateRecoveryTest, TheEndDoesNotWaitForOneThatIsStuck) {
  startWith({"stuck"});
  EXPECT_TRUE(comesTrue([&] { return stuck() > 1; }));
  const auto begin = Clock::now();
  registry_.stop();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(2));
}

INSTANTIATE_TEST_SUITE_P(Threading, LateRecoveryTest,
                         ::testing::Values("runtime-serialized", "runtime-per_object"));

}  // namespace
}  // namespace berth::plugins
