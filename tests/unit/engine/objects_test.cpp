#include "engine/objects.hpp"

#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using std::chrono::hours;
using Clock = plugins::Operation::Clock;

class ObjectsTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_;
  std::shared_ptr<Pod> pod_;

  void SetUp() override {
    std::string setAside;
    auto opened = store::Store::open(directory_ / "berth.db", setAside);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    records::PodRecord record;
    record.set_id("pod-1");
    pod_ = std::make_shared<Pod>(record, nullptr, *store_);
  }
  absl::Status makeReady() {
    return pod_->change([](records::PodRecord& record) { record.set_state(records::POD_READY); });
  }
  static bool isReady(const records::PodRecord& record) {
    return record.state() == records::POD_READY;
  }
};

TEST_F(ObjectsTest, ChangesAreKeptDurably) {
  ASSERT_TRUE(makeReady().ok());
  EXPECT_EQ(pod_->state(), records::POD_READY);
  records::PodRecord stored;
  ASSERT_TRUE(stored.ParseFromString(*store_->get(kPodKind, "pod-1")));
  EXPECT_EQ(stored.state(), records::POD_READY);
  ASSERT_TRUE(pod_->erase().ok());
  EXPECT_EQ(store_->get(kPodKind, "pod-1").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ObjectsTest, WhatCouldNotBeKeptIsMadeUpFor) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "berth.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other,
                         "CREATE TRIGGER refuse BEFORE INSERT ON records"
                         " BEGIN SELECT RAISE(ABORT, 'refused'); END",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  EXPECT_FALSE(makeReady().ok());
  EXPECT_EQ(pod_->state(), records::POD_READY);
  EXPECT_FALSE(pod_->keepChanges().ok());
  EXPECT_EQ(sqlite3_exec(other, "DROP TRIGGER refuse", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_TRUE(pod_->keepChanges().ok());
  records::PodRecord stored;
  ASSERT_TRUE(stored.ParseFromString(*store_->get(kPodKind, "pod-1")));
  EXPECT_EQ(stored.state(), records::POD_READY);
}

// Lists and statuses are answered from memory, however long the disk takes.
TEST_F(ObjectsTest, ReadingDoesNotWaitForTheDisk) {
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open((directory_ / "berth.db").c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  auto changing = std::async(std::launch::async, [this] { return makeReady(); });
  while (pod_->state() != records::POD_READY) std::this_thread::yield();
  EXPECT_EQ(changing.wait_for(std::chrono::seconds(0)), std::future_status::timeout)
      << "the change is kept only when the other writer has ended";
  EXPECT_EQ(sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_TRUE(changing.get().ok());
  sqlite3_close(other);
}

TEST_F(ObjectsTest, TheLastOfManyChangesAtOnceIsWhatIsKept) {
  constexpr int kThreads = 4;
  constexpr int kChanges = 200;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([this] {
      for (int i = 0; i < kChanges; ++i) {
        const absl::Status kept = pod_->change(
            [](records::PodRecord& record) { record.set_created_at(record.created_at() + 1); });
        EXPECT_TRUE(kept.ok()) << kept;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  records::PodRecord stored;
  ASSERT_TRUE(stored.ParseFromString(*store_->get(kPodKind, "pod-1")));
  EXPECT_EQ(stored.created_at(), kThreads * kChanges);
}

TEST_F(ObjectsTest, NothingIsKeptAfterTheRecordIsErased) {
  ASSERT_TRUE(makeReady().ok());
  ASSERT_TRUE(pod_->erase().ok());
  ASSERT_TRUE(pod_->change([](records::PodRecord& record) { record.set_lost(true); }).ok());
  EXPECT_EQ(store_->get(kPodKind, "pod-1").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ObjectsTest, AwaitChangeReturnsAtOnceWhenItHoldsAlready) {
  ASSERT_TRUE(makeReady().ok());
  EXPECT_TRUE(pod_->awaitChange(Clock::now() - hours(1), isReady));
}

TEST_F(ObjectsTest, AwaitChangeEndsWithTheTime) {
  EXPECT_FALSE(pod_->awaitChange(Clock::now() - hours(1), isReady));
  EXPECT_FALSE(pod_->awaitChange(Clock::now() + std::chrono::milliseconds(1), isReady));
}

TEST_F(ObjectsTest, AwaitChangeWithoutATimeEndsWithTheChange) {
  std::promise<void> looked;
  std::once_flag once;
  auto waiter = std::async(std::launch::async, [&] {
    return pod_->awaitChange(Clock::time_point::max(), [&](const records::PodRecord& record) {
      std::call_once(once, [&] { looked.set_value(); });
      return isReady(record);
    });
  });
  looked.get_future().wait();
  ASSERT_TRUE(makeReady().ok());
  EXPECT_TRUE(waiter.get());
}

// A change that is not the one waited for wakes without ending the wait.
TEST_F(ObjectsTest, AwaitChangeLooksAgainAfterEveryChange) {
  std::atomic<int> looks{0};
  auto waiter = std::async(std::launch::async, [&] {
    return pod_->awaitChange(Clock::time_point::max(), [&](const records::PodRecord& record) {
      ++looks;
      return isReady(record);
    });
  });
  while (looks == 0) std::this_thread::yield();
  ASSERT_TRUE(pod_->change([](records::PodRecord& record) { record.set_lost(true); }).ok());
  while (looks < 2) std::this_thread::yield();
  ASSERT_TRUE(makeReady().ok());
  EXPECT_TRUE(waiter.get());
  EXPECT_GE(looks, 3);
}

TEST_F(ObjectsTest, AStopCanOnlyBeBroughtForward) {
  records::ContainerRecord record;
  record.set_id("container-1");
  Container container(record, pod_, *store_);
  const Clock::time_point now = Clock::now();
  EXPECT_EQ(container.killAt(), Clock::time_point::max());
  container.bringStopForward(now + hours(2));
  container.bringStopForward(now + hours(1));
  container.bringStopForward(now + hours(3));
  EXPECT_EQ(container.killAt(), now + hours(1));
}

TEST_F(ObjectsTest, ATurnWaitsForTheOneBefore) {
  plugins::Operation op("first");
  std::promise<void> taken;
  std::promise<void> release;
  std::thread holder([&] {
    plugins::Operation mine("holder");
    auto turn = Turn::take(mine, *pod_);
    ASSERT_TRUE(turn.ok());
    taken.set_value();
    release.get_future().wait();
  });
  taken.get_future().wait();
  auto waiter = std::async(std::launch::async, [&] { return Turn::take(op, *pod_).ok(); });
  release.set_value();
  EXPECT_TRUE(waiter.get());
  holder.join();
}

TEST_F(ObjectsTest, ATurnThatIsNotWantedAnyMoreSaysWhatItWaitedFor) {
  std::unique_lock held(pod_->serial);
  plugins::Operation op("StopPodSandbox pod-1");
  op.cancel();
  const absl::Status status =
      std::async(std::launch::async, [&] { return Turn::take(op, *pod_).status(); }).get();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(std::string(support::fromAbsl(status.message())),
              ::testing::HasSubstr("wait for the operation before it"));
}

}  // namespace
}  // namespace berth::engine
