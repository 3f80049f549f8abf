#include "engine/readiness.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::engine {
namespace {

using namespace std::chrono_literals;
using common::Outage;
using ::testing::HasSubstr;

class ReadinessTest : public ::testing::Test {
 protected:
  bool isReady(Readiness::Clock::duration after) { return readiness_.judge(begin_ + after).ready; }

  const Readiness::Clock::time_point begin_ = Readiness::Clock::now();
  std::optional<Outage> process_;
  std::optional<Outage> records_;
  Readiness readiness_{{{"PluginNotReady", [this] { return process_; }},
                        {"RecordsNotWritable", [this] { return records_; }}}};
};

TEST_F(ReadinessTest, WithoutAnOutageItIsReady) {
  const Readiness::Verdict verdict = readiness_.judge();
  EXPECT_TRUE(verdict.ready);
  EXPECT_EQ(verdict.reason + verdict.message, "");
}

TEST_F(ReadinessTest, AnOutageCountsOnceItHasLastedLong) {
  records_ = Outage{begin_, "the disk is gone"};
  EXPECT_TRUE(isReady(0s));
  EXPECT_TRUE(isReady(29s));
  const Readiness::Verdict verdict = readiness_.judge(begin_ + 30s);
  EXPECT_FALSE(verdict.ready);
  EXPECT_EQ(verdict.reason, "RecordsNotWritable");
  EXPECT_THAT(verdict.message, HasSubstr("no new pod can work: the disk is gone"));
}

TEST_F(ReadinessTest, ItIsReadyAtOnceWhenTheOutageIsOver) {
  process_ = Outage{begin_, "died"};
  EXPECT_FALSE(isReady(40s));
  process_.reset();
  EXPECT_TRUE(isReady(40s));
}

TEST_F(ReadinessTest, EachInterruptionBeginsAnew) {
  process_ = Outage{begin_, "died"};
  EXPECT_TRUE(isReady(29s));
  process_ = Outage{begin_ + 29s, "died again"};
  EXPECT_TRUE(isReady(58s));
  EXPECT_FALSE(isReady(59s));
}

// Each of two things works now and then: new pods do too.
TEST_F(ReadinessTest, OutagesOfDifferentThingsAreNotOne) {
  process_ = Outage{begin_, "died"};
  records_ = Outage{begin_ + 20s, "full of errors"};
  EXPECT_TRUE(isReady(25s));
  process_.reset();
  EXPECT_TRUE(isReady(45s));
  EXPECT_FALSE(isReady(50s));
}

TEST_F(ReadinessTest, TheLogTellsOfEachChangeOnce) {
  ::testing::internal::CaptureStderr();
  process_ = Outage{begin_, "died"};
  for (const auto after : {0s, 30s, 31s, 32s}) isReady(after);
  process_.reset();
  for (const auto after : {33s, 34s}) isReady(after);
  const std::string log = ::testing::internal::GetCapturedStderr();
  const auto count = [&log](const std::string& words) {
    size_t found = 0;
    for (size_t at = log.find(words); at != std::string::npos; at = log.find(words, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("the node is not ready"), 1u) << log;
  EXPECT_EQ(count("died"), 1u) << log;
  EXPECT_EQ(count("the node is ready"), 1u) << log;
}

}  // namespace
}  // namespace berth::engine
