#include "engine/event_stream.hpp"

#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using std::chrono::milliseconds;
using Subscription = std::unique_ptr<EventStream::Subscription>;

constexpr milliseconds kSoon{5000};
constexpr milliseconds kNow{0};

class EventStreamTest : public ::testing::Test {
 protected:
  EventStream stream_;
  std::vector<std::string> told_;

  void publish(const std::string& id) {
    LifeEvent event;
    event.set_container_id(id);
    const auto released = stream_.publish(std::move(event), [this, id] { told_.push_back(id); });
  }
  Subscription subscribe() {
    auto subscription = stream_.subscribe([] {});
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    return *std::move(subscription);
  }
  // The ids of all that waits.
  static std::vector<std::string> drain(EventStream::Subscription& subscription) {
    std::vector<std::string> ids;
    for (;;) {
      auto event = subscription.next(kNow);
      if (!event.ok() || *event == nullptr) return ids;
      ids.push_back((*event)->container_id());
    }
  }
};

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(EventStreamTest, EachSubscriberGetsEachEventOnceAndInOrder) {
  const Subscription a = subscribe();
  publish("1");
  const Subscription b = subscribe();
  publish("2");
  publish("3");
  EXPECT_THAT(drain(*a), ElementsAre("1", "2", "3"));
  EXPECT_THAT(drain(*b), ElementsAre("2", "3"));
}

TEST_F(EventStreamTest, AWaitEndsWithTheNextEvent) {
  const Subscription one = subscribe();
  auto waiter = std::async(std::launch::async, [&] { return one->next(kSoon); });
  publish("1");
  const auto event = waiter.get();
  ASSERT_TRUE(event.ok() && *event != nullptr);
  EXPECT_EQ((*event)->container_id(), "1");
}

TEST_F(EventStreamTest, NothingIsMadeWhenNobodyListens) {
  EXPECT_FALSE(stream_.listening());
  Subscription one = subscribe();
  EXPECT_TRUE(stream_.listening());
  one.reset();
  EXPECT_FALSE(stream_.listening());
}

TEST_F(EventStreamTest, AnEventIsToldWhenTheLastHasLetGoOfIt) {
  const Subscription a = subscribe();
  Subscription b = subscribe();
  publish("1");
  EXPECT_THAT(told_, IsEmpty());
  auto taken = a->next(kNow);
  EXPECT_THAT(told_, IsEmpty());
  taken = SharedEvent();
  EXPECT_THAT(told_, IsEmpty());
  b.reset();  // never took it, and is gone
  EXPECT_THAT(told_, ElementsAre("1"));
}

TEST_F(EventStreamTest, OneThatDoesNotReadIsCutOffAndTheOthersGoOn) {
  const Subscription slow = subscribe();
  const Subscription fast = subscribe();
  for (size_t i = 0; i < EventStream::kMostWaiting + 1; ++i) {
    publish(std::to_string(i));
    EXPECT_THAT(drain(*fast), ElementsAre(std::to_string(i)));
  }
  const auto event = slow->next(kNow);
  EXPECT_EQ(event.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(support::fromAbsl(event.status().message())),
              ::testing::HasSubstr("list pods and containers, and subscribe again"));
  // What waited for it takes no memory any more.
  EXPECT_EQ(told_.size(), EventStream::kMostWaiting + 1);
  publish("after");
  EXPECT_THAT(drain(*fast), ElementsAre("after"));
}

TEST_F(EventStreamTest, ThereIsABoundOnSubscribers) {
  std::vector<Subscription> all;
  for (size_t i = 0; i < EventStream::kMostSubscribers; ++i) all.push_back(subscribe());
  EXPECT_EQ(stream_.subscribe([] {}).status().code(), absl::StatusCode::kResourceExhausted);
  all.pop_back();
  EXPECT_TRUE(stream_.subscribe([] {}).ok());
}

TEST_F(EventStreamTest, ClosingDeliversWhatWaitsAndThenEnds) {
  const Subscription one = subscribe();
  publish("1");
  stream_.close();
  publish("2");
  EXPECT_THAT(drain(*one), ElementsAre("1"));
  EXPECT_EQ(one->next(kSoon).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(stream_.subscribe([] {}).status().code(), absl::StatusCode::kUnavailable);
  // What was published after the end was told to nobody.
  EXPECT_THAT(told_, ElementsAre("1"));
}

TEST_F(EventStreamTest, ClosingEndsAWait) {
  const Subscription one = subscribe();
  auto waiter = std::async(std::launch::async, [&] { return one->next(kSoon); });
  stream_.close();
  EXPECT_EQ(waiter.get().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(EventStreamTest, ThoseWhoComeBackGetWhatTheyWereNotThereToHear) {
  stream_.expectReturn();
  EXPECT_TRUE(stream_.listening());
  publish("1");
  publish("2");
  EXPECT_THAT(told_, IsEmpty());
  const Subscription first = subscribe();
  EXPECT_THAT(drain(*first), ElementsAre("1", "2"));
  EXPECT_THAT(told_, ElementsAre("1", "2"));
  publish("3");
  EXPECT_THAT(drain(*first), ElementsAre("3"));
  // A little later, for the second one that was there before.
  const Subscription second = subscribe();
  EXPECT_THAT(drain(*second), ElementsAre("1", "2", "3"));
}

TEST_F(EventStreamTest, WhatIsKeptIsBounded) {
  stream_.expectReturn();
  for (size_t i = 0; i < EventStream::kMostWaiting + 3; ++i) publish(std::to_string(i));
  EXPECT_EQ(drain(*subscribe()).size(), EventStream::kMostWaiting);
}

TEST_F(EventStreamTest, WithoutAnyoneToReturnNothingIsKept) {
  publish("1");
  EXPECT_THAT(told_, ElementsAre("1"));
  EXPECT_THAT(drain(*subscribe()), IsEmpty());
  EXPECT_EQ(stream_.returnDeadline(), EventStream::Clock::time_point::max());
}

}  // namespace
}  // namespace berth::engine
