#include "engine/operations.hpp"

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;

const Deadline kNever = Deadline::max();

Deadline inAnHour() {
  return Deadline::clock::now() + seconds(3600);
}

// Work that ends when the test says so.
struct Gate {
  std::promise<void> begun;
  std::promise<std::string> end;
  std::future<void> begunFuture = begun.get_future();
  std::shared_future<std::string> endFuture = end.get_future().share();

  Operations::Work work(const std::string& stage = "work") {
    return [this, stage](plugins::Operation& op) -> absl::StatusOr<std::string> {
      op.setStage(stage);
      begun.set_value();
      return endFuture.get();
    };
  }
};

constexpr std::chrono::milliseconds kEndTime{300};

class OperationsTest : public ::testing::Test {
 protected:
  Operations& operations() { return operations_; }

 private:
  Workers workers_;
  Operations operations_{workers_, kEndTime};
};

TEST_F(OperationsTest, TheResultComesBack) {
  const auto result =
      operations().run("key", "Work", kNever, [](auto&) { return std::string("done"); });
  EXPECT_EQ(*result, "done");
  // Its thread lets go of it a moment after the answer.
  while (!plugins::runningOperations().empty()) std::this_thread::yield();
}

TEST_F(OperationsTest, FailuresComeBackAsTheyAre) {
  const auto result = operations().run("key", "Work", inAnHour(), [](auto&) {
    return absl::StatusOr<std::string>(absl::NotFoundError("no such thing"));
  });
  EXPECT_EQ(result.status(), absl::NotFoundError("no such thing"));
}

TEST_F(OperationsTest, ARepeatedCallJoinsAndSharesTheResult) {
  Gate gate;
  std::vector<std::future<absl::StatusOr<std::string>>> callers;
  callers.push_back(std::async(
      std::launch::async, [&] { return operations().run("key", "first", kNever, gate.work()); }));
  gate.begunFuture.wait();
  // The deadline has passed already: the call joins, and is answered at once.
  std::atomic<int> runs{0};
  const auto counting = [&](plugins::Operation&) -> absl::StatusOr<std::string> {
    ++runs;
    return std::string("second");
  };
  EXPECT_EQ(operations().run("key", "second", Deadline::clock::now(), counting).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  for (int i = 0; i < 3; ++i) {
    callers.push_back(std::async(
        std::launch::async, [&] { return operations().run("key", "joiner", kNever, counting); }));
  }
  EXPECT_EQ(plugins::runningOperations().size(), 1u);
  gate.end.set_value("shared");
  EXPECT_EQ(*callers[0].get(), "shared");
  for (size_t i = 1; i < callers.size(); ++i) {
    // One that came after the end has run its own work: both are right answers.
    const auto result = callers[i].get();
    ASSERT_TRUE(result.ok());
    EXPECT_TRUE(*result == "shared" || (*result == "second" && runs > 0)) << *result;
  }
}

TEST_F(OperationsTest, WorkThatMustNotGoOnEndsByItselfAndIsWaitedFor) {
  const auto result =
      operations().runUntil("key", "CheckpointContainer", Deadline::clock::now(), kNever,
                            [](plugins::Operation& op) -> absl::StatusOr<std::string> {
                              if (absl::Status status = op.check(); !status.ok()) return status;
                              return std::string("too late");
                            });
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(OperationsTest, OnlyThoseOfAKindAreCancelled) {
  std::promise<void> begun;
  auto cancelled = std::async(std::launch::async, [&] {
    return operations().run("checkpoint a b", "C", kNever,
                            [&](plugins::Operation& op) -> absl::StatusOr<std::string> {
                              begun.set_value();
                              while (op.check().ok()) std::this_thread::yield();
                              return op.check();
                            });
  });
  begun.get_future().wait();
  Gate other;
  auto stays = std::async(std::launch::async,
                          [&] { return operations().run("stop a", "S", kNever, other.work()); });
  other.begunFuture.wait();
  operations().cancel("checkpoint a ");
  EXPECT_EQ(cancelled.get().status().code(), absl::StatusCode::kCancelled);
  other.end.set_value("done");
  EXPECT_EQ(*stays.get(), "done");
}

TEST_F(OperationsTest, ItEndsInTimeToBeAnswered) {
  const Deadline deadline = inAnHour();
  EXPECT_LT(endBefore(deadline), deadline);
  EXPECT_GT(endBefore(deadline), deadline - seconds(60));
  EXPECT_EQ(endBefore(kNever), kNever);
}

TEST_F(OperationsTest, DifferentKeysRunAtTheSameTime) {
  Gate a;
  Gate b;
  auto first =
      std::async(std::launch::async, [&] { return operations().run("a", "A", kNever, a.work()); });
  auto second =
      std::async(std::launch::async, [&] { return operations().run("b", "B", kNever, b.work()); });
  a.begunFuture.wait();
  b.begunFuture.wait();
  EXPECT_EQ(plugins::runningOperations().size(), 2u);
  a.end.set_value("a");
  b.end.set_value("b");
  EXPECT_EQ(*first.get(), "a");
  EXPECT_EQ(*second.get(), "b");
}

TEST_F(OperationsTest, APassedDeadlineNamesTheStageAndTheWorkGoesOn) {
  Gate gate;
  auto work = gate.work("attach the network");
  // The first call only starts it: its answer may come before the stage is set.
  EXPECT_EQ(operations().run("key", "RunPodSandbox", Deadline::clock::now(), work).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  gate.begunFuture.wait();
  const auto late = operations().run("key", "RunPodSandbox", Deadline::clock::now(), work);
  EXPECT_EQ(late.status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(support::fromAbsl(late.status().message())),
              AllOf(HasSubstr("RunPodSandbox"), HasSubstr("stage: attach the network"),
                    HasSubstr("repeating the call joins it")));
  auto joiner = std::async(std::launch::async, [&] {
    return operations().run("key", "RunPodSandbox", kNever,
                            [](auto&) { return std::string("begun anew"); });
  });
  gate.end.set_value("the first run's");
  const auto result = joiner.get();
  EXPECT_TRUE(*result == "the first run's" || *result == "begun anew");
}

// Work that was given up, and is undone until the test says so.
struct Undoing {
  std::promise<void> begun;
  std::promise<void> end;

  Operations::Work work() {
    return [this](plugins::Operation& op) -> absl::StatusOr<std::string> {
      begun.set_value();
      end.get_future().wait();
      return op.check();
    };
  }
};

TEST_F(OperationsTest, WhoMeetsOneThatWasGivenUpHearsSo) {
  Undoing undoing;
  auto first = std::async(std::launch::async, [&] {
    return operations().runUntil("key", "CreateContainer", Deadline::clock::now(), kNever,
                                 undoing.work());
  });
  undoing.begun.get_future().wait();
  const auto repeated = operations().run("key", "CreateContainer", Deadline::clock::now(),
                                         [](auto&) { return std::string("begun anew"); });
  EXPECT_THAT(std::string(support::fromAbsl(repeated.status().message())),
              HasSubstr("it is being undone"));
  undoing.end.set_value();
  EXPECT_EQ(first.get().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(OperationsTest, WhoHasTheTimeBeginsAnewAfterOneThatWasGivenUp) {
  Undoing undoing;
  auto first = std::async(std::launch::async, [&] {
    return operations().runUntil("key", "CreateContainer", Deadline::clock::now(), kNever,
                                 undoing.work());
  });
  undoing.begun.get_future().wait();
  auto repeated = std::async(std::launch::async, [&] {
    return operations().run("key", "CreateContainer", kNever,
                            [](auto&) { return std::string("begun anew"); });
  });
  undoing.end.set_value();
  EXPECT_EQ(first.get().status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(*repeated.get(), "begun anew");
}

TEST_F(OperationsTest, AtTheEndOfAllNothingIsBegun) {
  operations().cancelAll();
  bool begun = false;
  const auto late = operations().run("key", "CreateContainer", kNever, [&](auto&) {
    begun = true;
    return std::string();
  });
  EXPECT_EQ(late.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(begun);
}

TEST_F(OperationsTest, WhenItHasEndedTheKeyIsFreeAgain) {
  for (const char* text : {"one", "two"}) {
    EXPECT_EQ(*operations().run("key", "Work", kNever, [&](auto&) { return std::string(text); }),
              text);
  }
}

TEST_F(OperationsTest, TheOperationHasAGracePeriodAfterTheCallersDeadline) {
  const Deadline deadline = inAnHour();
  Deadline seen;
  ASSERT_TRUE(operations()
                  .run("key", "Work", deadline,
                       [&](plugins::Operation& op) -> absl::StatusOr<std::string> {
                         seen = op.deadline();
                         return std::string();
                       })
                  .ok());
  EXPECT_EQ(seen, withGrace(deadline));
  EXPECT_GT(withGrace(deadline), deadline + seconds(10));
  EXPECT_EQ(withGrace(kNever), kNever);
  EXPECT_EQ(withGrace(kNever - seconds(1)), kNever);
}

TEST_F(OperationsTest, CancelAllReachesTheWork) {
  std::promise<void> begun;
  auto caller = std::async(std::launch::async, [&] {
    return operations().run("key", "Work", kNever,
                            [&](plugins::Operation& op) -> absl::StatusOr<std::string> {
                              op.setStage("wait");
                              begun.set_value();
                              while (!op.cancelled()) std::this_thread::yield();
                              return op.check();
                            });
  });
  begun.get_future().wait();
  operations().cancelAll();
  const auto result = caller.get();
  EXPECT_EQ(result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(std::string(support::fromAbsl(result.status().message())), HasSubstr("wait"));
}

TEST_F(OperationsTest, ListShowsWhatRunsWithItsStage) {
  Gate gate;
  auto caller = std::async(std::launch::async, [&] {
    return operations().run("key", "StopPodSandbox x", kNever, gate.work("detach"));
  });
  gate.begunFuture.wait();
  const auto running = plugins::runningOperations();
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(running[0].name, "StopPodSandbox x");
  EXPECT_EQ(running[0].stage, "detach");
  EXPECT_GE(running[0].age.count(), 0);
  gate.end.set_value("");
  EXPECT_TRUE(caller.get().ok());
}

bool stays() {
  return false;
}

// What ignores that it is cancelled until the test says so.
struct Stubborn {
  std::promise<void> end;
  std::shared_future<void> ended = end.get_future().share();

  Operations::OwnWork work() {
    return [ended = ended](plugins::Operation& op) {
      op.setStage("ignore everybody");
      ended.wait();
      return absl::OkStatus();
    };
  }
};

TEST_F(OperationsTest, WhatIsItsCallersAloneIsAnsweredInTime) {
  Stubborn stubborn;
  const Deadline soon = Deadline::clock::now() + std::chrono::milliseconds(50);
  const absl::Status status = operations().runOwn("Work", soon, soon, stays, stubborn.work());
  stubborn.end.set_value();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(std::string(status.message()), HasSubstr("stage: ignore everybody"));
  while (!plugins::runningOperations().empty()) std::this_thread::yield();
}

TEST_F(OperationsTest, WhatEndsInItsTimeAfterItsDeadlineSaysWhyItself) {
  const Deadline soon = Deadline::clock::now() + std::chrono::milliseconds(20);
  const absl::Status status =
      operations().runOwn("Work", soon, kNever, stays, [](plugins::Operation& op) {
        while (op.check().ok()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        std::this_thread::sleep_for(kEndTime / 10);
        return absl::AbortedError("killed");
      });
  EXPECT_EQ(status, absl::AbortedError("killed"));
}

TEST_F(OperationsTest, WhatDoesNotEndInItsTimeIsNotWaitedFor) {
  Stubborn stubborn;
  const Deadline now = Deadline::clock::now();
  const absl::Status status = operations().runOwn("Work", now, kNever, stays, stubborn.work());
  const auto waited = Deadline::clock::now() - now;
  stubborn.end.set_value();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(waited, kEndTime);
  while (!plugins::runningOperations().empty()) std::this_thread::yield();
}

TEST_F(OperationsTest, WhatIsItsCallersAloneIsLeftWithIt) {
  Stubborn stubborn;
  const auto gone = [] { return true; };
  const absl::Status status = operations().runOwn("Work", kNever, kNever, gone, stubborn.work());
  stubborn.end.set_value();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  while (!plugins::runningOperations().empty()) std::this_thread::yield();
}

TEST_F(OperationsTest, WhatDoesNotComeBackIsBounded) {
  Stubborn stubborn;
  absl::Status status;
  size_t left = 0;
  const auto run = [&] {
    const Deadline now = Deadline::clock::now();
    return operations().runOwn("Work", now, now, stays, stubborn.work());
  };
  while (absl::IsDeadlineExceeded(status = run()) && left < 1000) ++left;
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(left, 8u);
  EXPECT_TRUE(operations()
                  .runOwn("Other", kNever, kNever, stays, [](auto&) { return absl::OkStatus(); })
                  .ok())
      << "what has another name is not refused";
  stubborn.end.set_value();
  while (!plugins::runningOperations().empty()) std::this_thread::yield();
  EXPECT_TRUE(operations().runOwn("Work", kNever, kNever, stays, stubborn.work()).ok());
}

}  // namespace
}  // namespace berth::engine
