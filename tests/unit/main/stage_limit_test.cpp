#include "main/stage_limit.hpp"

#include <atomic>
#include <functional>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "../no_more_threads.hpp"

namespace berth::program {
namespace {

using namespace std::chrono_literals;

struct Expiry {
  std::promise<std::string> promise;
  StageLimit limit{[this](const std::string& stage) { promise.set_value(stage); }};
};

TEST(StageLimit, AStageThatHangsExpires) {
  Expiry expiry;
  expiry.limit.begin("calls", 1ms);
  EXPECT_EQ(expiry.promise.get_future().get(), "calls");
}

TEST(StageLimit, AStageReplacesTheOneBefore) {
  Expiry expiry;
  expiry.limit.begin("calls", 1h);
  expiry.limit.begin("a plugin", 1ms);
  EXPECT_EQ(expiry.promise.get_future().get(), "a plugin");
}

TEST(StageLimit, EachStageHasAllItsTime) {
  Expiry expiry;
  const auto begin = std::chrono::steady_clock::now();
  expiry.limit.begin("calls", 1s);
  expiry.limit.begin("a plugin", 1100ms);
  EXPECT_EQ(expiry.promise.get_future().get(), "a plugin");
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 1100ms);
}

TEST(StageLimit, AnEndInTimeExpiresNothing) {
  StageLimit unused([](const std::string& stage) { ADD_FAILURE() << stage; });
  StageLimit limit([](const std::string& stage) { ADD_FAILURE() << stage; });
  limit.begin("calls", 1h);
}

TEST(StageLimit, WhatFollowsAStageHasNoLimit) {
  std::atomic<bool> expired = false;
  StageLimit limit([&](const std::string&) { expired = true; });
  const auto begin = std::chrono::steady_clock::now();
  limit.begin("a plugin", 1s);
  limit.end();
  const bool inTime = std::chrono::steady_clock::now() - begin < 1s;
  std::this_thread::sleep_for(1100ms);
  EXPECT_FALSE(inTime && expired);
}

TEST(StageLimit, WhatWaitsForNoPluginHasNoLimit) {
  std::atomic<bool> expired = false;
  StageLimit limit([&](const std::string&) { expired = true; });
  limit.begin("a plugin", 1h);
  limit.expect("the database", 1ms);
  std::this_thread::sleep_for(100ms);
  EXPECT_FALSE(expired);
}

TEST(StageLimit, OthersHearOfEachStageAndItsTime) {
  std::vector<std::pair<std::string, std::chrono::milliseconds>> heard;
  StageLimit limit(
      StageLimit::endProcess,
      {.begun = [&](const std::string& stage, auto time) { heard.emplace_back(stage, time); },
       .lasts = {}});
  EXPECT_EQ(limit.stage(), "");
  limit.begin("a plugin", 1h);
  EXPECT_EQ(limit.stage(), "a plugin");
  limit.expect("the database", 2h);
  limit.end();
  EXPECT_EQ(limit.stage(), "");
  EXPECT_THAT(heard, ::testing::ElementsAre(::testing::Pair("a plugin", 1h),
                                            ::testing::Pair("the database", 2h)));
}

// Those that have lasted for 200 ms while the stages went by.
std::vector<std::string> longOnes(const std::function<void(StageLimit&)>& stages) {
  std::vector<std::string> heard;
  {
    StageLimit limit(StageLimit::endProcess,
                     {.begun = {},
                      .lasts = [&](const std::string& stage) { heard.push_back(stage); },
                      .longTime = 200ms});
    stages(limit);
  }
  return heard;
}

TEST(StageLimit, EachStageThatLastsIsToldOnce) {
  EXPECT_THAT(longOnes([](StageLimit& limit) {
                for (const char* stage : {"a plugin", "the database"}) {
                  limit.expect(stage, 1h);
                  std::this_thread::sleep_for(700ms);
                }
              }),
              ::testing::ElementsAre("a plugin", "the database"));
}

TEST(StageLimit, WhatFollowsAStageIsNotToldOf) {
  EXPECT_THAT(longOnes([](StageLimit& limit) {
                limit.expect("a plugin", 1h);
                limit.end();
                std::this_thread::sleep_for(700ms);
              }),
              ::testing::IsEmpty());
}

TEST(StageLimit, WithoutAThreadNothingIsLimited) {
  StageLimit limit([](const std::string& stage) { ADD_FAILURE() << stage; });
  const testing_support::NoMoreThreads shortage;
  limit.begin("calls", 1ms);
}

TEST(StageLimitDeathTest, TheProcessEndsAndSaysForWhatItHasNotWaited) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        StageLimit limit;
        limit.begin("network cni to stop", 1ms);
        std::promise<void>().get_future().wait();
      },
      ::testing::ExitedWithCode(1), "as if it had crashed.*network cni to stop");
}

}  // namespace
}  // namespace berth::program
