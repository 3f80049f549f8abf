// Processes of plugins that lie (liar.cpp): whatever they say ends them with a message that names
// the plugin; nothing of it stays, and others go on.
#include <csignal>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::TestHost;
using Clock = std::chrono::steady_clock;

std::string messageOf(const absl::Status& status) {
  return std::string(support::fromAbsl(status.message()));
}

size_t openFiles() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(all), end(all)));
}

// One that lies about what `path` ends with.
Wanted liar(Kind kind, const std::string& path) {
  Wanted one{kind, "net", path, {}};
  one.isolation = {.process = true, .program = test_paths::liar};
  return one;
}

class LiesTest : public ::testing::TestWithParam<const char*> {
 protected:
  TestHost host_;
  // Beside them: one of which the process works.
  Registry good_{{test_paths::plugins}, host_.services()};
  size_t before_ = 0;

  void SetUp() override {
    Wanted wanted{Kind::kNetwork, "good", "parallel", {}};
    wanted.isolation = {.process = true, .program = test_paths::pluginHost};
    ASSERT_TRUE(good_.load({wanted}).ok());
    ASSERT_TRUE(good_.start().ok());
    goesOn();
    before_ = openFiles();
  }
  void goesOn() {
    Operation op("attach");
    NetworkRequest request;
    request.name = "process";
    const auto attached = (*good_.network("good"))->attach(op, request);
    ASSERT_TRUE(attached.ok()) << attached.status();
    EXPECT_EQ(good_.instances()[0]->process()->restarts, 0u);
  }
  void TearDown() override {
    goesOn();
    EXPECT_EQ(openFiles(), before_);
  }
  static std::string lie() { return support::strCat("/", GetParam()); }
  // Started: what is lied about comes later.
  std::unique_ptr<Registry> start(Kind kind = Kind::kNetwork) {
    auto registry = std::make_unique<Registry>(std::vector<std::string>(), host_.services());
    absl::Status status = registry->load({liar(kind, lie())});
    if (status.ok()) status = registry->start();
    EXPECT_TRUE(status.ok()) << status;
    return registry;
  }
  static absl::Status attach(const Registry& registry,
                             Clock::time_point deadline = Clock::time_point::max()) {
    Operation op("attach", deadline);
    NetworkRequest request;
    request.pod = "pod-1";
    return (*registry.network("net"))->attach(op, request).status();
  }
};

using DescriptionLies = LiesTest;

TEST_P(DescriptionLies, AreRefusedWithTheFile) {
  Registry registry({}, host_.services());
  const absl::Status loaded = registry.load({liar(Kind::kNetwork, lie())});
  EXPECT_EQ(loaded.code(), absl::StatusCode::kFailedPrecondition) << loaded;
  EXPECT_THAT(messageOf(loaded),
              AllOf(HasSubstr("network \"net\""), HasSubstr("plugin file " + lie())));
}

INSTANTIATE_TEST_SUITE_P(All, DescriptionLies,
                         ::testing::Values("major", "minor", "threading", "interface", "name",
                                           "text", "load-exit", "load-close", "load-garbage",
                                           "load-half", "load-code", "load-cut", "load-more",
                                           "load-text-size", "load-kind", "load-descriptor"));

// Of what comes before any call.
using LifeLies = LiesTest;

TEST_P(LifeLies, AreRefusedWithThePlugin) {
  Registry registry({}, host_.services());
  const absl::Status loaded = registry.load({liar(Kind::kNetwork, lie())});
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(messageOf(loaded), AllOf(HasSubstr("network \"net\""), HasSubstr("plugin liar")));
}

INSTANTIATE_TEST_SUITE_P(All, LifeLies,
                         ::testing::Values("options", "create-outcome", "create-cut",
                                           "configure-cut"));

using CallLies = LiesTest;

TEST_P(CallLies, EndTheProcessAndBlameThePlugin) {
  const auto registry = start();
  const absl::Status attached = attach(*registry);
  EXPECT_EQ(attached.code(), absl::StatusCode::kUnavailable) << attached;
  EXPECT_THAT(messageOf(attached),
              AllOf(HasSubstr("plugin net: its process"), HasSubstr("broke the protocol: ")));
}

INSTANTIATE_TEST_SUITE_P(Replies, CallLies,
                         ::testing::Values("close", "garbage", "huge", "empty", "cut", "text-size",
                                           "more", "large", "outcome", "threw-more", "other",
                                           "twice", "reply-and-half"));
INSTANTIATE_TEST_SUITE_P(Descriptors, CallLies,
                         ::testing::Values("no-descriptor", "descriptor-count", "descriptor",
                                           "surplus-descriptors", "many-descriptors",
                                           "truncated-descriptors", "stage-descriptor"));
INSTANTIATE_TEST_SUITE_P(Frames, CallLies,
                         ::testing::Values("stage", "stage-more", "progress", "log", "event",
                                           "kind", "loaded", "call", "save-state"));
INSTANTIATE_TEST_SUITE_P(Callbacks, CallLies,
                         ::testing::Values("no-argument", "no-receiver", "no-function",
                                           "callback-cut", "callback-text-size", "callback-more",
                                           "flood"));
INSTANTIATE_TEST_SUITE_P(OtherChannels, CallLies,
                         ::testing::Values("control-garbage", "control-kind", "control-log",
                                           "control-event", "control-descriptor", "host-garbage",
                                           "host-kind", "host-state", "host-credentials",
                                           "host-descriptor"));

// A process that ends in the middle of what it says has broken nothing.
using Ends = LiesTest;

TEST_P(Ends, AreToldAsWhatTheyAre) {
  const auto registry = start();
  const absl::Status attached = attach(*registry);
  EXPECT_EQ(attached.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(attached),
              AllOf(HasSubstr("plugin net: its process"), HasSubstr(" exited with code 3")));
}

INSTANTIATE_TEST_SUITE_P(All, Ends, ::testing::Values("exit", "control-half"));

// Whatever it does meanwhile, a call ends.
using SlowLies = LiesTest;

TEST_P(SlowLies, EndInTime) {
  const auto registry = start();
  const auto begin = Clock::now();
  const absl::Status attached = attach(*registry, begin + std::chrono::milliseconds(100));
  EXPECT_EQ(attached.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(attached),
              AllOf(HasSubstr("plugin net: its process"), HasSubstr("did not return")));
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(15));
}

INSTANTIATE_TEST_SUITE_P(All, SlowLies, ::testing::Values("silent", "half", "endless"));

using AnswersAfterCancel = LiesTest;

TEST_P(AnswersAfterCancel, AreNotTakenForThoseOfTheNextCall) {
  const auto registry = start();
  Operation op("attach");
  std::thread canceller([&] {
    while (op.stage() != "on and on") std::this_thread::yield();
    op.cancel();
  });
  const auto attached = (*registry->network("net"))->attach(op, {});
  canceller.join();
  EXPECT_TRUE(attached.ok()) << "it was done in time: " << attached.status();
  EXPECT_TRUE(attach(*registry).ok());
  EXPECT_EQ(registry->instances()[0]->process()->restarts, 0u);
}

INSTANTIATE_TEST_SUITE_P(All, AnswersAfterCancel, ::testing::Values("late"));

using SocketLies = LiesTest;

TEST_P(SocketLies, GiveNoSocket) {
  const auto registry = start(Kind::kRuntime);
  Operation op("connect");
  const absl::Status connected =
      (*registry->runtime("net"))->connectPort(op, "pod-1", 8080).status();
  const bool failed = lie() == "/socket-and-failure";
  EXPECT_FALSE(connected.ok());
  EXPECT_EQ(connected.code() == absl::StatusCode::kNotFound, failed) << connected;
  EXPECT_THAT(messageOf(connected), HasSubstr(failed ? "nobody listens" : "plugin net"));
}

INSTANTIATE_TEST_SUITE_P(All, SocketLies,
                         ::testing::Values("socket-none", "socket-missing", "socket-two",
                                           "socket-and-failure"));

using Refusals = LiesTest;

TEST_P(Refusals, AreNotAskedForForEver) {
  const auto registry = start(Kind::kImageSource);
  Operation op("fetch");
  const absl::Status fetched =
      (*registry->imageSource("net"))
          ->fetch(op, {"a.example/app:1", nullptr}, {}, 0,
                  [](std::string_view) -> absl::Status { return absl::AbortedError("enough"); });
  EXPECT_EQ(fetched, absl::AbortedError("enough"));
  const auto until = Clock::now() + std::chrono::seconds(20);
  const auto told = Contains(HasSubstr("it goes on although it was refused"));
  while (!::testing::Value(host_.log(), told) && Clock::now() < until) std::this_thread::yield();
  EXPECT_THAT(host_.log(), told);
}

INSTANTIATE_TEST_SUITE_P(All, Refusals, ::testing::Values("refused"));

using TableLies = LiesTest;

TEST_P(TableLies, AreToldWithTheNextCall) {
  const auto registry = start(Kind::kSnapshotter);
  EXPECT_THAT(host_.log(), Contains(AllOf(HasSubstr("net: its process"),
                                          HasSubstr("broke the protocol: a table"))));
}

INSTANTIATE_TEST_SUITE_P(All, TableLies, ::testing::Values("table-cut"));

TEST(Lies, AProcessThatStaysIsEnded) {
  TestHost host;
  pid_t pid = 0;
  {
    Registry registry({}, host.services());
    ASSERT_TRUE(registry.load({liar(Kind::kNetwork, "/stay")}).ok());
    ASSERT_TRUE(registry.start().ok());
    pid = registry.instances()[0]->process()->pid;
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(Lies, AnotherPluginInItsPlaceIsNotTaken) {
  TestHost host;
  Registry registry({}, host.services());
  const std::string path = host.directory() / "changed";
  ASSERT_TRUE(registry.load({liar(Kind::kNetwork, path)}).ok());
  ASSERT_TRUE(registry.start().ok());
  ::kill(registry.instances()[0]->process()->pid, SIGKILL);
  const auto until = Clock::now() + std::chrono::seconds(20);
  Operation op("status");
  absl::Status asked;
  do {
    asked = (*registry.network("net"))->status(op);
  } while (messageOf(asked).find("replaced by another") == std::string::npos &&
           Clock::now() < until);
  EXPECT_EQ(asked.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(messageOf(asked), AllOf(HasSubstr("plugin net"), HasSubstr("replaced by another")));
}

}  // namespace
}  // namespace berth::plugins
