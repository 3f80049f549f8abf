// Operation, also through its berth_op.
#include "plugins/operation.hpp"

#include <chrono>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/plugin.hpp"
#include "berth/support/clock.hpp"
#include "berth/support/status.hpp"

namespace berth::plugins {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Clock = Operation::Clock;

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, 0) == 1;
}

TEST(OperationTest, WithoutDeadlineNothingEndsIt) {
  Operation op("work");
  EXPECT_TRUE(op.check().ok());
  EXPECT_FALSE(op.cancelled());
  EXPECT_EQ(op.op()->deadline, INT64_MAX);
  EXPECT_EQ(op.op()->size, sizeof(berth_op));
  EXPECT_FALSE(readable(op.op()->cancel_fd));
}

TEST(OperationTest, ItIsOverSinceItsDeadlineOrItsCancellation) {
  const auto begin = Clock::now();
  Operation endless("work");
  EXPECT_FALSE(endless.overSince());
  endless.cancel();
  ASSERT_TRUE(endless.overSince());
  EXPECT_GE(*endless.overSince(), begin);
  const auto passed = begin - std::chrono::seconds(1);
  Operation late("work", passed);
  EXPECT_EQ(late.overSince(), passed);
  late.cancel();
  EXPECT_EQ(late.overSince(), passed);
}

TEST(OperationTest, ItsKindIsTheCallThatItIsFor) {
  EXPECT_EQ(operationKind("RunPodSandbox default/web"), "RunPodSandbox");
  EXPECT_EQ(operationKind("CheckStorage"), "CheckStorage");
  EXPECT_EQ(operationKind("collect the network's garbage"), "other");
  EXPECT_EQ(operationKind(""), "other");
}

TEST(OperationTest, SessionsAreTold) {
  const auto isSession = [](const std::string& name) {
    for (const RunningOperation& one : runningOperations())
      if (one.name == name) return one.session;
    return false;
  };
  Operation op("exec in container 0");
  EXPECT_FALSE(isSession(op.name()));
  op.becomeSession();
  EXPECT_TRUE(isSession(op.name()));
}

TEST(OperationTest, CancellationNamesTheStageAndWakesPollers) {
  Operation op("RunPodSandbox default/web");
  Op(op.op()).stage("attach the network");
  op.cancel();
  EXPECT_TRUE(op.cancelled());
  EXPECT_NE(op.op()->cancelled(op.op()), 0);
  EXPECT_TRUE(readable(op.op()->cancel_fd));
  EXPECT_EQ(op.check().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(std::string(support::fromAbsl(op.check().message())),
              AllOf(HasSubstr("RunPodSandbox default/web"), HasSubstr("attach the network")));
  op.cancel();
  EXPECT_TRUE(readable(op.op()->cancel_fd));
}

TEST(OperationTest, APassedDeadlineNamesTheStage) {
  Operation op("work", Clock::now() - std::chrono::seconds(1));
  op.setStage("wait for the disk");
  EXPECT_TRUE(op.cancelled());
  EXPECT_NE(op.op()->cancelled(op.op()), 0);
  EXPECT_EQ(op.check().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(support::fromAbsl(op.check().message())), HasSubstr("wait for the disk"));
}

TEST(OperationTest, TheDeadlineIsMonotonicNanoseconds) {
  const Clock::time_point deadline{std::chrono::nanoseconds(123456789012)};
  Operation op("work", deadline);
  EXPECT_EQ(op.op()->deadline, 123456789012);
}

TEST(OperationTest, ProgressAndStageComeOutOfThePluginsSide) {
  Operation op("pull");
  const Op plugin(op.op());
  plugin.progress(5, 10);
  plugin.stage("fetch sha256:abc");
  EXPECT_EQ(op.progress().done, 5u);
  EXPECT_EQ(op.progress().total, 10u);
  EXPECT_EQ(op.stage(), "fetch sha256:abc");
}

TEST(OperationTest, ThePluginsSideCopesWithoutAnOperation) {
  const Op none(nullptr);
  none.stage("x");
  none.progress(1, 2);
  EXPECT_FALSE(none.cancelled());
  EXPECT_EQ(none.cancelFd(), -1);
  EXPECT_EQ(none.deadline(), INT64_MAX);
}

class Hearing final : public Observer {
 public:
  Hearing() { setObserver(this); }
  ~Hearing() { setObserver(nullptr); }
  void onOperation(Timeline timeline) override { heard.push_back(std::move(timeline)); }
  void onCall(const Instance&, bool, std::chrono::nanoseconds) override {}
  std::vector<Timeline> heard;
};

TEST(OperationTest, WhereItsTimeWentIsHeardAtItsEnd) {
  Hearing observer;
  const int64_t before = support::nowNanoseconds();
  {
    Operation op("RunPodSandbox default/web");
    op.about("pod");
    Op(op.op()).stage("attach the network");
    Op(op.op()).stage("attach the network");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    op.setStage("start");
    op.about("pod", "container");
    op.setResult(absl::NotFoundError("no pod"));
    EXPECT_TRUE(observer.heard.empty());
  }
  ASSERT_EQ(observer.heard.size(), 1u);
  const Timeline& timeline = observer.heard[0];
  EXPECT_EQ(timeline.operation, "RunPodSandbox default/web");
  EXPECT_THAT(timeline.subjects, ElementsAre("pod", "container"));
  EXPECT_THAT(timeline.error, HasSubstr("no pod"));
  EXPECT_GE(timeline.begin, before - 1'000'000);
  ASSERT_EQ(timeline.stages.size(), 3u);
  EXPECT_EQ(timeline.stages[0].name, "waiting");
  EXPECT_EQ(timeline.stages[1].name, "attach the network");
  EXPECT_GE(timeline.stages[1].duration, 2'000'000);
  EXPECT_EQ(timeline.stages[2].name, "start");
  int64_t end = 0;
  for (const Stage& stage : timeline.stages) {
    EXPECT_EQ(stage.begin, end);
    end += stage.duration;
  }
  EXPECT_EQ(end, timeline.duration);
}

TEST(OperationTest, StagesOverAndOverDoNotGrow) {
  Hearing observer;
  {
    Operation op("work");
    for (int count = 0; count < 1000; ++count) op.setStage(count % 2 == 0 ? "even" : "odd");
  }
  ASSERT_EQ(observer.heard.size(), 1u);
  EXPECT_LE(observer.heard[0].stages.size(), 64u);
  const Stage& last = observer.heard[0].stages.back();
  EXPECT_EQ(last.begin + last.duration, observer.heard[0].duration);
}

}  // namespace
}  // namespace berth::plugins
