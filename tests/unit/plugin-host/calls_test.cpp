// Calls into a plugin and from it into the host.
#include <filesystem>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/extensions.h"
#include "test_host.hpp"
#include "test_paths.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::TestHost;

// In this process, and in a process of its own.
class CallsTest : public ::testing::TestWithParam<bool> {
 protected:
  TestHost host_;
  Registry registry_{{test_paths::plugins}, host_.services()};
  Network* network_ = nullptr;

  void SetUp() override {
    Wanted wanted{Kind::kNetwork, "net", "parallel", {}};
    wanted.isolation = {.process = GetParam(), .program = test_paths::pluginHost};
    ASSERT_TRUE(registry_.load({wanted}).ok());
    ASSERT_TRUE(registry_.start().ok());
    network_ = registry_.network("net")->get();
  }
  absl::StatusOr<NetworkResult> attach(const std::string& behaviour,
                                       const std::string& pod = "pod-1") {
    Operation op("attach");
    NetworkRequest request;
    request.pod = pod;
    request.name = behaviour;
    request.namespacePath = "/run/netns/1";
    return network_->attach(op, request);
  }
  std::string failure(const std::string& behaviour, absl::StatusCode code) {
    const auto result = attach(behaviour);
    EXPECT_EQ(result.status().code(), code) << result.status();
    return std::string(support::fromAbsl(result.status().message()));
  }
};

TEST_P(CallsTest, ResultsComeBackOwned) {
  const auto result = attach("");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->addresses, ElementsAre("192.0.2.1"));
  EXPECT_EQ(result->result, "{}");
  EXPECT_EQ(result->state, "/run/netns/1");
}

TEST_P(CallsTest, ExceptionsArriveAsInternal) {
  EXPECT_THAT(failure("throw", absl::StatusCode::kInternal), HasSubstr("thrown by the plugin"));
}

TEST_P(CallsTest, CodesOutOfRangeBecomeInternalAndSaySo) {
  EXPECT_THAT(
      failure("code 99", absl::StatusCode::kInternal),
      AllOf(HasSubstr("plugin net"), HasSubstr("unknown code 99"), HasSubstr("a code of its own")));
  EXPECT_THAT(failure("code -1", absl::StatusCode::kInternal), HasSubstr("unknown code -1"));
}

TEST_P(CallsTest, AFailureWithoutAMessageNamesThePlugin) {
  EXPECT_THAT(failure("silent", absl::StatusCode::kUnavailable),
              HasSubstr("plugin net failed without a message"));
}

TEST_P(CallsTest, NoTextThatIsNotUtf8GetsIn) {
  EXPECT_EQ(failure("fail with bad bytes", absl::StatusCode::kUnavailable),
            "plugin net failed with what is not UTF-8: cut \uFFFD");

  Operation op("attach");
  NetworkRequest request;
  request.name = "bad bytes";
  const auto result = network_->attach(op, request);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->result, "result \uFFFD");
  EXPECT_EQ(result->state, "state \xFF") << "it is not text";
  EXPECT_EQ(op.stage(), "stage \uFFFD");
  EXPECT_THAT(host_.log(), ::testing::Contains("net: message \uFFFD key=value \uFFFD"));
  const auto events = host_.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].second.pod, "pod \uFFFD");
  EXPECT_EQ(events[0].second.container, "container \uFFFD");
  EXPECT_EQ(events[0].second.message, "because \uFFFD");
}

TEST_P(CallsTest, CancellationReachesTheCallAndTheStageComesOut) {
  Operation op("attach");
  absl::Status status;
  std::thread caller([&] {
    NetworkRequest request;
    request.name = "wait";
    status = network_->attach(op, request).status();
  });
  while (op.stage() != "wait to be cancelled" || op.progress().done != 3) {
    std::this_thread::yield();
  }
  op.cancel();
  caller.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(status.message(), "wait to be cancelled: cancelled");
  EXPECT_EQ(op.progress().total, 10u);
}

TEST_P(CallsTest, WhatDoesNotComeBackInItsTimeIsOverdueUntilItDoes) {
  const auto instance = registry_.instances()[0];
  EXPECT_FALSE(instance->overdueSince());
  std::promise<void> begun;
  std::promise<void> end;
  Operation op("attach");
  std::thread caller([&] {
    EXPECT_TRUE(instance
                    ->call(op, "pod-1",
                           [&](berth_error*) -> berth_code {
                             begun.set_value();
                             end.get_future().wait();
                             return BERTH_OK;
                           })
                    .ok());
  });
  begun.get_future().wait();
  EXPECT_FALSE(instance->overdueSince()) << "it has its time yet";
  const auto before = Operation::Clock::now();
  op.cancel();
  const auto since = instance->overdueSince();
  op.cancel();
  EXPECT_EQ(instance->overdueSince(), since);
  end.set_value();
  caller.join();
  ASSERT_TRUE(since);
  EXPECT_GE(*since, before);
  EXPECT_LE(*since, Operation::Clock::now());
  EXPECT_FALSE(instance->overdueSince());
}

TEST_P(CallsTest, NoStageIsNamedWhereNoneWasTold) {
  EXPECT_EQ(attach("cut off").status().message(), "cancelled");
}

TEST_P(CallsTest, EventsReachTheHostWithTheirInstance) {
  ASSERT_TRUE(attach("event").ok());
  const auto events = host_.events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].first, "net");
  const Event& event = events[0].second;
  EXPECT_EQ(event.kind, BERTH_EVENT_CONTAINER_EXITED);
  EXPECT_EQ(event.flags, static_cast<uint32_t>(BERTH_EVENT_OOM_KILLED));
  EXPECT_EQ(event.pod, "pod-1");
  EXPECT_EQ(event.container, "container-1");
  EXPECT_EQ(event.timestamp, 1234);
  EXPECT_EQ(event.exitCode, 137);
  EXPECT_EQ(event.message, "out of memory");
}

TEST_P(CallsTest, LogLinesCarryTheirFields) {
  ASSERT_TRUE(attach("", "pod-7").ok());
  EXPECT_THAT(host_.log(), ::testing::Contains("net: enter pod=pod-7"));
}

TEST_P(CallsTest, SavedStateReachesTheHost) {
  ASSERT_TRUE(attach("save").ok());
  EXPECT_EQ(host_.states().at("network net pod-1"), "state of the pod");
}

TEST_P(CallsTest, FailuresOfTheHostReachThePlugin) {
  const auto unknown = attach("save", "unknown");
  EXPECT_EQ(unknown.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(unknown.status().message(), "no record unknown");
}

TEST_P(CallsTest, StateBeyondTheBoundIsRefused) {
  EXPECT_THAT(failure("save too much", absl::StatusCode::kInvalidArgument),
              AllOf(HasSubstr("1048577"), HasSubstr("1048576")));
  EXPECT_TRUE(host_.states().empty());
}

TEST_P(CallsTest, CredentialsAreLentToThePlugin) {
  const auto result = attach("credentials");
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->result, "user\nsecret");
}

TEST_P(CallsTest, InstancesHaveDirectoriesOfTheirOwn) {
  const auto result = attach("directories");
  ASSERT_TRUE(result.ok()) << result.status();
  const std::string root = host_.directory() / "root/plugins/network-net";
  const std::string state = host_.directory() / "state/plugins/network-net";
  EXPECT_EQ(result->result, root + "\n" + state);
  for (const std::string& path : {root, state}) {
    EXPECT_TRUE(std::filesystem::is_directory(path)) << path;
  }
}

TEST_P(CallsTest, ExtensionsAreFoundByIdAndRevision) {
  const Instance& instance = *registry_.instances()[0];
  berth_runtime_port_forward table{};
  ASSERT_TRUE(instance.extension(BERTH_EXTENSION_PORT_FORWARD, 1, &table, sizeof table));
  EXPECT_EQ(table.size, sizeof table);
  // The socket of this one is none, which cannot go from one process to another.
  int32_t socket = 0;
  const berth_code connected =
      table.connect(instance.handle(), nullptr, {}, 8080, &socket, nullptr);
  EXPECT_EQ(connected, GetParam() ? BERTH_UNAVAILABLE : BERTH_OK);
  EXPECT_EQ(socket, GetParam() ? 0 : 8081);
  EXPECT_FALSE(instance.extension(BERTH_EXTENSION_PORT_FORWARD, 2, &table, sizeof table));
  EXPECT_FALSE(instance.extension(BERTH_EXTENSION_QUOTA, 1, &table, sizeof table));
}

TEST_P(CallsTest, ALargerExtensionOfTheHostReadsTheUnknownAsNull) {
  struct Later {
    berth_runtime_port_forward now;
    void (*added)();
  } table{{}, [] {}};
  ASSERT_TRUE(
      registry_.instances()[0]->extension(BERTH_EXTENSION_PORT_FORWARD, 1, &table, sizeof table));
  EXPECT_NE(table.now.connect, nullptr);
  EXPECT_EQ(table.added, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Isolation, CallsTest, ::testing::Bool());

TEST(Calls, AnExceptionThatCrossesIsCaughtAndBlamed) {
  TestHost host;
  Registry registry({test_paths::plugins}, host.services());
  ASSERT_TRUE(registry.load({{Kind::kNetwork, "net", "throwing-call", {}}}).ok());
  ASSERT_TRUE(registry.start().ok());
  Operation op("status");
  const absl::Status status = (*registry.network("net"))->status(op);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(support::fromAbsl(status.message())),
              AllOf(HasSubstr("spoiled-throwing-call"), HasSubstr("let an exception out")));
}

}  // namespace
}  // namespace berth::plugins
