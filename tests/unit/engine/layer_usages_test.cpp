#include "engine/layer_usages.hpp"

#include <atomic>
#include <condition_variable>
#include <map>
#include <new>
#include <thread>

#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using Content = LayerUsages::Content;

// Measures when it is let to, and tells what it has measured.
class LayerUsagesTest : public ::testing::Test {
 protected:
  void TearDown() override {
    usages_.finish();
    workers_.finish();
  }
  absl::StatusOr<plugins::Usage> measure(const plugins::Operation& op,
                                         const std::string& container) {
    std::unique_lock lock(mutex_);
    begun_ = container;
    changed_.notify_all();
    while (allowed_ == 0 && !op.cancelled()) {
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
    if (op.cancelled()) return op.check();
    --allowed_;
    ++measured_;
    changed_.notify_all();
    if (!result_.ok()) return result_;
    return plugins::Usage{measured_ * 1000, measured_};
  }
  void allow() {
    const std::lock_guard lock(mutex_);
    ++allowed_;
    changed_.notify_all();
  }
  void awaitBegun(const std::string& container) {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(
        changed_.wait_for(lock, std::chrono::seconds(30), [&] { return begun_ == container; }));
  }
  // A reading that is kept: measuring ends before it is.
  LayerUsages::Reading await(const std::string& container, Content content = Content::kChanging) {
    for (int i = 0; i < 6000; ++i) {
      if (const auto reading = usages_.get(container, "snap", content)) return *reading;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ADD_FAILURE() << "nothing was measured";
    return {};
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int allowed_ = 0;
  uint64_t measured_ = 0;
  std::string begun_;
  absl::Status result_;
  common::Workers workers_;
  LayerUsages usages_{workers_,
                      [this](const plugins::Operation& op, const std::string& container) {
                        return measure(op, container);
                      },
                      {.prompt = std::chrono::hours(1)}};
};

TEST_F(LayerUsagesTest, TheFirstCallDoesNotWait) {
  // Nothing is allowed yet: a call that measured would hang here.
  EXPECT_EQ(usages_.get("a", "snap", Content::kChanging), std::nullopt);
  EXPECT_EQ(usages_.get("a", "snap", Content::kChanging), std::nullopt);
  allow();
  const LayerUsages::Reading reading = await("a");
  EXPECT_EQ(reading.usage.bytes, 1000u);
  EXPECT_EQ(reading.usage.inodes, 1u);
  EXPECT_GT(reading.timestamp, 0);
}

TEST_F(LayerUsagesTest, AFreshReadingIsNotMadeAgain) {
  allow();
  await("a");
  for (int i = 0; i < 10; ++i) EXPECT_EQ(await("a").usage.bytes, 1000u);
  workers_.finish();
  EXPECT_EQ(measured_, 1u);
}

TEST_F(LayerUsagesTest, OneLayerAtATime) {
  usages_.get("a", "snap", Content::kChanging);
  awaitBegun("a");
  usages_.get("b", "snap", Content::kChanging);
  EXPECT_EQ(workers_.load().threads, 1u);
  allow();
  awaitBegun("b");
  EXPECT_EQ(await("a").usage.inodes, 1u);
  allow();
  EXPECT_EQ(await("b").usage.inodes, 2u);
}

// None of these comes back promptly, and those that are called so not at all.
TEST_F(LayerUsagesTest, ALayerThatHangsHoldsUpNoOther) {
  std::map<std::string, int> begun;
  const auto timesBegun = [&](const std::string& container) {
    const std::lock_guard lock(mutex_);
    return begun[container];
  };
  LayerUsages usages(workers_,
                     [&](const plugins::Operation& op,
                         const std::string& container) -> absl::StatusOr<plugins::Usage> {
                       {
                         const std::lock_guard lock(mutex_);
                         ++begun[container];
                       }
                       while (container.starts_with("hung") && !op.cancelled())
                         std::this_thread::yield();
                       BERTH_RETURN_IF_ERROR(op.check());
                       return plugins::Usage{1, 1};
                     },
                     {.prompt = std::chrono::seconds(0)});
  const auto becomes = [&](const std::string& container, const std::string& snapshotter) {
    for (int i = 0; i < 6000; ++i) {
      if (usages.get(container, snapshotter, Content::kChanging)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  const auto hang = [&](const std::string& container) {
    for (int i = 0; i < 6000 && timesBegun(container) == 0; ++i) {
      usages.get(container, "slow", Content::kChanging);
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    ASSERT_EQ(timesBegun(container), 1);
  };
  hang("hung-1");
  EXPECT_TRUE(becomes("beside", "slow"));
  hang("hung-2");
  // All that a snapshotter may be asked for at a time; others are asked all the same.
  EXPECT_EQ(usages.get("waits", "slow", Content::kChanging), std::nullopt);
  EXPECT_TRUE(becomes("other", "snap"));
  EXPECT_EQ(timesBegun("waits"), 0);
  EXPECT_EQ(usages.get("hung-1", "slow", Content::kChanging), std::nullopt);
  EXPECT_TRUE(becomes("another", "snap"));
  EXPECT_EQ(timesBegun("hung-1"), 1);
  usages.forget("hung-1");
  EXPECT_TRUE(becomes("waits", "slow"));
  usages.finish();
  workers_.finish();
}

TEST_F(LayerUsagesTest, ForgettingEndsTheMeasuring) {
  usages_.get("a", "snap", Content::kChanging);
  awaitBegun("a");
  usages_.get("b", "snap", Content::kChanging);
  usages_.forget("a");
  // Its turn comes although nobody let the first one go on.
  awaitBegun("b");
  allow();
  EXPECT_EQ(await("b").usage.inodes, 1u);
}

TEST_F(LayerUsagesTest, AFailureIsNoReading) {
  {
    const std::lock_guard lock(mutex_);
    result_ = absl::InternalError("the disk is on fire");
  }
  usages_.get("a", "snap", Content::kChanging);
  allow();
  workers_.finish();
  EXPECT_EQ(measured_, 1u);
  EXPECT_EQ(usages_.get("a", "snap", Content::kChanging), std::nullopt);
}

TEST_F(LayerUsagesTest, WhatMeasuringThrowsEndsNothing) {
  std::atomic<bool> thrown = false;
  LayerUsages usages(
      workers_,
      [&](const plugins::Operation&, const std::string&) -> absl::StatusOr<plugins::Usage> {
        if (!thrown.exchange(true)) throw std::bad_alloc();
        return plugins::Usage{1, 1};
      },
      {.age = std::chrono::seconds(0)});
  for (int i = 0; i < 6000 && !usages.get("a", "snap", Content::kChanging); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(usages.get("a", "snap", Content::kChanging).has_value());
  usages.finish();
  workers_.finish();
}

// Readings that are old at once.
TEST_F(LayerUsagesTest, AnOldReadingIsMadeAgainUnlessTheLayerHasEnded) {
  std::atomic<uint64_t> walks = 0;
  LayerUsages usages(
      workers_,
      [&](const plugins::Operation&, const std::string&) -> absl::StatusOr<plugins::Usage> {
        return plugins::Usage{++walks, 1};
      },
      {.age = std::chrono::seconds(0)});
  const auto awaitBytes = [&](Content content, uint64_t least) {
    for (int i = 0; i < 6000; ++i) {
      const auto reading = usages.get("a", "snap", content);
      if (reading && reading->usage.bytes >= least) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  };
  EXPECT_TRUE(awaitBytes(Content::kChanging, 3));
  // The one that may be under way, one that begins after the end, and none after it.
  const uint64_t before = walks;
  constexpr int kQuiet = 20;
  int quiet = 0;
  for (int i = 0; i < 6000 && quiet < kQuiet; ++i) {
    const uint64_t last = walks;
    usages.get("a", "snap", Content::kFinal);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    quiet = walks == last ? quiet + 1 : 0;
  }
  EXPECT_EQ(quiet, kQuiet);
  EXPECT_GE(walks, before + 1);
  EXPECT_LE(walks, before + 2);
  usages.finish();
  workers_.finish();
}

TEST_F(LayerUsagesTest, FinishEndsEverything) {
  usages_.get("a", "snap", Content::kChanging);
  usages_.get("b", "snap", Content::kChanging);
  awaitBegun("a");
  usages_.finish();
  workers_.finish();  // would hang if it were still measuring
  EXPECT_EQ(usages_.get("c", "snap", Content::kChanging), std::nullopt);
  EXPECT_EQ(measured_, 0u);
}

}  // namespace
}  // namespace berth::engine
