#include "common/workers.hpp"

#include <atomic>
#include <future>
#include <latch>
#include <memory>
#include <set>
#include <system_error>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "../no_more_threads.hpp"

namespace berth::common {
namespace {

TEST(WorkersTest, AllWorkIsDoneWhenFinishReturns) {
  std::atomic<int> done{0};
  Workers workers;
  for (int i = 0; i < 500; ++i) workers.post([&] { ++done; });
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
    workers.post([&] {
      together.arrive_and_wait();
      ++done;
    });
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
      workers.post([&] {
        together.arrive_and_wait();
        ended.count_down();
      });
    }
    ended.wait();
  }
}

TEST(WorkersTest, WorkMayPostWork) {
  std::promise<void> done;
  Workers workers;
  workers.post([&] { workers.post([&] { done.set_value(); }); });
  done.get_future().get();
}

TEST(WorkersTest, WithoutAThreadNothingIsDone) {
  std::atomic<int> done{0};
  Workers workers;
  {
    const testing_support::NoMoreThreads shortage;
    EXPECT_THROW(workers.post([&] { ++done; }), std::system_error);
  }
  workers.post([&] { done += 10; });
  workers.finish();
  EXPECT_EQ(done, 10);
}

TEST(WorkersTest, WhatWorkHoldsIsFreedWhenItEnds) {
  auto held = std::make_shared<int>(1);
  std::weak_ptr<int> seen = held;
  Workers workers;
  workers.post([held = std::move(held)] { EXPECT_EQ(*held, 1); });
  workers.finish();
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace berth::common
