#include "pace.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::overlay {
namespace {

using namespace std::chrono_literals;
using ::testing::Each;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Its clock moves only as the test says, and by pauses.
class PaceTest : public ::testing::Test {
 protected:
  // As many small steps as fit into `time`, each of 100 us; how many were begun.
  int stepsWithin(Pace::Clock::duration time) {
    int steps = 0;
    for (const auto end = now_ + time; now_ < end; ++steps) {
      pace_.step();
      now_ += 100us;
    }
    return steps;
  }

  Pace::Clock::time_point now_{1h};
  bool hurried_ = false;
  std::vector<Pace::Clock::duration> pauses_;
  Pace pace_{{.now = [this] { return now_; },
              .pause =
                  [this](Pace::Clock::duration time) {
                    pauses_.push_back(time);
                    now_ += time;
                  },
              .hurried = [this] { return hurried_; }}};
};

TEST_F(PaceTest, WithoutOthersThereIsNoPause) {
  EXPECT_EQ(stepsWithin(1s), 10'000);
  EXPECT_THAT(pauses_, IsEmpty());
}

TEST_F(PaceTest, BesideOthersItWorksForAHundredthOfTheTime) {
  const Pace::Work work(pace_);
  const int steps = stepsWithin(1s);
  EXPECT_GE(steps, 90) << "it goes on all the same";
  EXPECT_LE(steps, 110);
  EXPECT_THAT(pauses_, Each(Pace::Clock::duration(Pace::kPause)));
}

TEST_F(PaceTest, WhoeverBeginsMeetsNoMoreThanTheStepOfThatMoment) {
  stepsWithin(1s);
  const Pace::Work work(pace_);
  pace_.step();
  EXPECT_THAT(pauses_, SizeIs(1));
}

TEST_F(PaceTest, BetweenTheCallsOfOneWhoGoesOnNobodyIsAtRest) {
  for (int call = 0; call < 20; ++call) {
    { const Pace::Work work(pace_); }
    now_ += Pace::kRest / 2;
    const size_t before = pauses_.size();
    pace_.step();
    EXPECT_EQ(pauses_.size(), before + 1) << call;
  }
}

TEST_F(PaceTest, AfterTheLastOfThemItGoesOnAtOnce) {
  { const Pace::Work work(pace_); }
  now_ += Pace::kRest + 1ns;
  EXPECT_EQ(stepsWithin(1s), 10'000);
  EXPECT_THAT(pauses_, IsEmpty());
}

TEST_F(PaceTest, OneOfManyThatEndsLeavesTheOthers) {
  const Pace::Work first(pace_);
  { const Pace::Work second(pace_); }
  now_ += 10 * Pace::kRest;
  pace_.step();
  EXPECT_THAT(pauses_, SizeIs(1));
}

TEST_F(PaceTest, HurriedItDoesNotPause) {
  const Pace::Work work(pace_);
  hurried_ = true;
  EXPECT_EQ(stepsWithin(1s), 10'000);
  hurried_ = false;
  pace_.step();
  EXPECT_THAT(pauses_, SizeIs(1));
}

}  // namespace
}  // namespace berth::overlay
