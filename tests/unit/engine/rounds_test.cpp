#include "engine/rounds.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::engine {
namespace {

using plugins::Operation;
using std::chrono::milliseconds;
using Answers = std::vector<absl::StatusOr<int>>;
using Question = std::function<absl::StatusOr<int>(size_t, const Operation&)>;

constexpr Rounds::Times kTimes{.prompt = milliseconds(20), .patience = milliseconds(200)};

class RoundsTest : public ::testing::Test {
 protected:
  Answers ask(size_t count, Question question) {
    std::vector<std::string> names;
    for (size_t i = 0; i < count; ++i) names.push_back(std::to_string(i));
    return rounds_.ask<int>(op_, names, std::move(question), kTimes);
  }
  Operation& op() { return op_; }
  const Rounds& rounds() const { return rounds_; }
  void TearDown() override { workers_.finish(); }

 private:
  Operation op_{"ListPodSandboxStats"};
  common::Workers workers_;
  Rounds rounds_{workers_};
};

absl::StatusOr<int> twice(size_t i) {
  return static_cast<int>(2 * i);
}

// As a plugin that heeds its operation.
absl::StatusOr<int> untilCancelled(const Operation& op) {
  while (!op.cancelled()) std::this_thread::sleep_for(milliseconds(1));
  return absl::CancelledError("told to end");
}

TEST_F(RoundsTest, NobodyIsAsked) {
  EXPECT_TRUE(ask(0, [](size_t, const Operation&) -> absl::StatusOr<int> {
                throw std::logic_error("asked");
              }).empty());
}

TEST_F(RoundsTest, AnswersAreInTheOrderOfTheAsked) {
  const auto thread = std::make_shared<std::atomic<std::thread::id>>();
  const auto threads = std::make_shared<std::atomic<int>>(0);
  const Answers answers = ask(1000, [=](size_t i, const Operation&) {
    if (thread->exchange(std::this_thread::get_id()) != std::this_thread::get_id()) ++*threads;
    return twice(i);
  });
  ASSERT_EQ(answers.size(), 1000u);
  for (size_t i = 0; i < answers.size(); ++i) EXPECT_EQ(*answers[i], 2 * static_cast<int>(i));
  EXPECT_EQ(*threads, 1) << "nobody was waited for";
}

TEST_F(RoundsTest, WhatIsSaidOrThrownIsTheAnswer) {
  const Answers answers = ask(3, [](size_t i, const Operation&) -> absl::StatusOr<int> {
    if (i == 0) return absl::NotFoundError("it has ended");
    if (i == 1) throw std::runtime_error("a fault");
    return 7;
  });
  EXPECT_TRUE(absl::IsNotFound(answers[0].status()));
  EXPECT_TRUE(absl::IsInternal(answers[1].status())) << answers[1].status();
  EXPECT_EQ(*answers[2], 7);
}

TEST_F(RoundsTest, OthersAreAskedBesideThoseThatDoNotAnswer) {
  const auto begun = Operation::Clock::now();
  const Answers answers = ask(20, [](size_t i, const Operation& own) {
    return i % 4 == 0 ? untilCancelled(own) : twice(i);
  });
  // One after the other they would have taken five times their patience.
  EXPECT_LT(Operation::Clock::now() - begun, 4 * kTimes.patience);
  for (size_t i = 0; i < answers.size(); ++i) {
    if (i % 4 == 0) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(answers[i].status())) << i << answers[i].status();
    } else {
      EXPECT_EQ(*answers[i], 2 * static_cast<int>(i));
    }
  }
  EXPECT_FALSE(op().cancelled()) << "the whole has been told to end";
}

TEST_F(RoundsTest, WhoHasNotComeBackIsNotAskedAgain) {
  const auto asked = std::make_shared<std::atomic<int>>(0);
  std::promise<void> end;
  const auto ended = end.get_future().share();
  const auto begin = Operation::Clock::now();
  const Question question = [asked, ended](size_t i, const Operation&) {
    if (i == 1) {
      ++*asked;
      ended.wait();
    }
    return twice(i);
  };
  for (int i = 0; i < 3; ++i) {
    const Answers answers = ask(3, question);
    EXPECT_EQ(*answers[0], 0);
    EXPECT_TRUE(absl::IsDeadlineExceeded(answers[1].status()));
    EXPECT_EQ(*answers[2], 4);
  }
  EXPECT_EQ(*asked, 1);
  EXPECT_FALSE(rounds().leftSince("0"));
  ASSERT_TRUE(rounds().leftSince("1"));
  EXPECT_GE(*rounds().leftSince("1"), begin);
  EXPECT_LT(*rounds().leftSince("1"), begin + std::chrono::seconds(60));
  end.set_value();
  // A moment later it is asked as before.
  for (Answers answers = ask(3, question); !answers[1].ok(); answers = ask(3, question)) {
    std::this_thread::yield();
  }
  EXPECT_EQ(*asked, 2);
  EXPECT_FALSE(rounds().leftSince("1"));
}

TEST_F(RoundsTest, TheEndOfTheWholeIsTheEndOfEach) {
  std::thread end([this] {
    std::this_thread::sleep_for(milliseconds(50));
    op().cancel();
  });
  const Answers answers = ask(
      2, [](size_t i, const Operation& own) { return i == 0 ? twice(0) : untilCancelled(own); });
  end.join();
  EXPECT_EQ(*answers[0], 0);
  EXPECT_FALSE(answers[1].ok());
  const Answers none = ask(
      2, [](size_t i, const Operation& own) { return i == 0 ? untilCancelled(own) : twice(i); });
  EXPECT_FALSE(none[0].ok());
}

}  // namespace
}  // namespace berth::engine
