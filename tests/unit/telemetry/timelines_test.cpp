#include "telemetry/timelines.hpp"

#include <gmock/gmock.h>

namespace berth::telemetry {
namespace {

using plugins::Timeline;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

Timeline timeline(std::string operation, std::vector<std::string> subjects, int64_t begin = 0) {
  Timeline made;
  made.operation = std::move(operation);
  made.subjects = std::move(subjects);
  made.begin = begin;
  return made;
}

std::vector<std::string> operations(const std::vector<Timeline>& timelines) {
  std::vector<std::string> names;
  for (const Timeline& one : timelines) names.push_back(one.operation);
  return names;
}

class TimelinesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // An operation is added when it ends.
    timelines_.add(timeline("CreateContainer aaa1/app/0", {"aaa1", "ccc1"}, 20));
    timelines_.add(timeline("RunPodSandbox default/web/uid/0", {"aaa1"}, 10));
    timelines_.add(timeline("RunPodSandbox other/web/uid/0", {"aab2"}, 30));
    timelines_.add(timeline("Status", {}, 40));
  }
  Timelines timelines_;
};

TEST_F(TimelinesTest, APodsComeWithThoseOfItsContainersTheOldestFirst) {
  const auto expected =
      ElementsAre("RunPodSandbox default/web/uid/0", "CreateContainer aaa1/app/0");
  for (const char* object : {"aaa1", "aaa", "ccc1", "c", "default/web"})
    EXPECT_THAT(operations(*timelines_.of(object)), expected) << object;
}

TEST_F(TimelinesTest, WhatMayMeanSeveralPodsMeansNone) {
  for (const char* object : {"aa", "web"}) {
    const absl::Status status = timelines_.of(object).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("may mean 2 pods"), HasSubstr("aaa1, aab2")));
  }
  for (const char* object : {"", "default/we"})
    EXPECT_TRUE(absl::IsNotFound(timelines_.of(object).status())) << object;
}

TEST_F(TimelinesTest, OnlySoManyAreRemembered) {
  for (int count = 0; count < 2000; ++count) timelines_.add(timeline("StopPodSandbox x", {"x"}));
  EXPECT_THAT(*timelines_.of("x"), SizeIs(512));
  EXPECT_TRUE(absl::IsNotFound(timelines_.of("aaa1").status()));
}

}  // namespace
}  // namespace berth::telemetry
