#include "common/workers.hpp"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "../no_more_threads.hpp"

namespace berth::common {
namespace {

TEST(WorkersTest, AllWorkIsDoneWhenFinishReturns) {
  std::atomic<int> done{0};
  Workers workers;
  for (int i = 0; i < 500; ++i) EXPECT_TRUE(workers.post([&] { ++done; }).ok());
  workers.finish();
  EXPECT_EQ(done, 500);
  workers.finish();
}

TEST(WorkersTest, FinishWithoutWorkReturns) {
  Workers workers;
  workers.finish();
}

// Work that waits for other work: it would never end if anything had to wait for a thread.
TEST(WorkersTest, EachPieceRunsAtOnceHoweverManyBlock) {
  constexpr int kPieces = 50;
  std::latch together(kPieces);
  std::atomic<int> done{0};
  Workers workers;
  for (int i = 0; i < kPieces; ++i) {
    const absl::Status posted = workers.post([&] {
      together.arrive_and_wait();
      ++done;
    });
    ASSERT_TRUE(posted.ok()) << posted;
  }
  workers.finish();
  EXPECT_EQ(done, kPieces);
}

TEST(WorkersTest, WorkPostedWhileIdleThreadsAreWokenStillGetsThreads) {
  Workers workers;
  for (int round = 0; round < 100; ++round) {
    std::latch together(4);
    std::latch ended(4);
    for (int i = 0; i < 4; ++i) {
      const absl::Status posted = workers.post([&] {
        together.arrive_and_wait();
        ended.count_down();
      });
      ASSERT_TRUE(posted.ok()) << posted;
    }
    ended.wait();
  }
}

TEST(WorkersTest, WorkMayPostWork) {
  std::promise<void> done;
  Workers workers;
  EXPECT_TRUE(
      workers.post([&] { EXPECT_TRUE(workers.post([&] { done.set_value(); }).ok()); }).ok());
  done.get_future().get();
}

TEST(WorkersTest, WithoutAThreadNothingIsDone) {
  std::atomic<int> done{0};
  Workers workers;
  {
    const testing_support::NoMoreThreads shortage;
    EXPECT_EQ(workers.post([&] { ++done; }).code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(workers.post([&] { done += 10; }).ok());
  workers.finish();
  EXPECT_EQ(done, 10);
}

TEST(WorkersTest, WhatMustBeDoneIsDoneWithoutAThreadOfItsOwn) {
  constexpr int kPieces = 10;
  std::latch ended(kPieces);
  Workers workers;
  const testing_support::NoMoreThreads shortage;
  for (int i = 0; i < kPieces; ++i) workers.postSurely([&] { ended.count_down(); });
  ended.wait();
}

TEST(WorkersTest, WhatMustBeDoneIsDoneBeforeFinishReturns) {
  std::atomic<int> done{0};
  std::latch begun(1);
  std::promise<void> go;
  Workers workers;
  {
    const testing_support::NoMoreThreads shortage;
    workers.postSurely([&] {
      begun.count_down();
      go.get_future().wait();
      ++done;
    });
    begun.wait();
    workers.postSurely([&] { ++done; });  // behind the one that blocks
  }
  go.set_value();
  workers.finish();
  EXPECT_EQ(done, 2);
}

TEST(WorkersTest, WorkThatThrowsEndsNobodyElse) {
  std::promise<void> done;
  Workers workers;
  EXPECT_TRUE(workers.post([] { throw std::runtime_error("thrown"); }).ok());
  workers.postSurely([] { throw 1; });
  EXPECT_TRUE(workers.post([&] { done.set_value(); }).ok());
  done.get_future().get();
}

TEST(WorkersTest, WhatWorkHoldsIsFreedWhenItEnds) {
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> seen = held;
  Workers workers;
  EXPECT_TRUE(workers.post([held = std::move(held)] { EXPECT_EQ(*held, 1); }).ok());
  workers.finish();
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace berth::common
