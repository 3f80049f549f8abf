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

// One who is slow is late at once in some tests, and never in the others.
constexpr EventStream::Times kTimes{.late = std::chrono::hours(1)};

class EventStreamTest : public ::testing::Test {
 protected:
  EventStream stream_{kTimes};
  std::vector<std::string> told_;

  void publish(const std::string& id) { publish(stream_, id); }
  void publish(EventStream& stream, const std::string& id) {
    LifeEvent event;
    event.set_container_id(id);
    stream.publish(std::move(event), [this, id] { told_.push_back(id); });
    stream.settle();
  }
  Subscription subscribe() { return subscribe(stream_); }
  static Subscription subscribe(EventStream& stream) {
    auto subscription = stream.subscribe([] {});
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

TEST_F(EventStreamTest, AnEventIsToldWhenAllHaveGotIt) {
  const Subscription a = subscribe();
  Subscription b = subscribe();
  publish("1");
  publish("2");
  ASSERT_TRUE(a->next(kNow).ok());
  EXPECT_THAT(drain(*b), ElementsAre("1", "2"));
  EXPECT_THAT(told_, IsEmpty()) << "it is still being delivered to one";
  ASSERT_TRUE(a->next(kNow).ok());
  EXPECT_THAT(told_, ElementsAre("1"));
  EXPECT_TRUE(a->next(kNow).ok());
  EXPECT_THAT(told_, ElementsAre("1", "2"));
}

TEST_F(EventStreamTest, OneWhoLeavesIsNotWaitedFor) {
  const Subscription a = subscribe();
  Subscription b = subscribe();
  publish("1");
  EXPECT_THAT(drain(*a), ElementsAre("1"));
  EXPECT_THAT(told_, IsEmpty());
  b.reset();
  EXPECT_THAT(told_, ElementsAre("1"));
}

TEST_F(EventStreamTest, OneWhoIsLateIsNotWaitedForWhenAnotherHasIt) {
  EventStream stream({.late = EventStream::Clock::duration::zero()});
  const Subscription slow = subscribe(stream);
  const Subscription fast = subscribe(stream);
  publish(stream, "1");
  ASSERT_TRUE(slow->next(kNow).ok());
  EXPECT_THAT(told_, IsEmpty()) << "nobody has it yet";
  EXPECT_THAT(drain(*fast), ElementsAre("1"));
  EXPECT_THAT(told_, ElementsAre("1"));
  publish(stream, "2");
  EXPECT_THAT(drain(*slow), ElementsAre("2")) << "it loses nothing as long as it is there";
}

TEST_F(EventStreamTest, OneWhoIsLateIsWaitedForWhenItIsTheOnlyOne) {
  EventStream stream({.late = EventStream::Clock::duration::zero()});
  const Subscription slow = subscribe(stream);
  publish(stream, "1");
  ASSERT_TRUE(slow->next(kNow).ok());
  publish(stream, "2");
  EXPECT_THAT(told_, IsEmpty());
  ASSERT_TRUE(slow->next(kNow).ok());
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
  // It is not waited for any more, and what waited for it takes no memory.
  EXPECT_EQ(told_.size(), EventStream::kMostWaiting + 1);
  EXPECT_EQ(stream_.places(), (EventStream::Places{.reading = 1, .cutOff = 1}));
  publish("after");
  EXPECT_THAT(drain(*fast), ElementsAre("after"));
}

TEST_F(EventStreamTest, OneThatStaysCutOffIsAbandonedOnce) {
  EventStream stream({.stuck = EventStream::Clock::duration::zero()});
  int abandoned = 0;
  const auto stuck = stream.subscribe([&] { ++abandoned; });
  for (size_t i = 0; i < EventStream::kMostWaiting + 1; ++i) publish(stream, "");
  EXPECT_EQ(abandoned, 0);
  publish(stream, "");
  publish(stream, "");
  EXPECT_EQ(abandoned, 1);
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

TEST_F(EventStreamTest, WhatIsNotReadAtTheEndIsNotTold) {
  Subscription slow = subscribe();
  publish("1");
  publish("2");
  ASSERT_TRUE(slow->next(kNow).ok());
  stream_.close();
  slow.reset();  // its delivery was cut off
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_TRUE(stream_.listening());
}

TEST_F(EventStreamTest, WhoComesBackGetsWhatItWasNotThereToHear) {
  stream_.expectReturn({.reading = 2});
  EXPECT_TRUE(stream_.listening());
  publish("1");
  publish("2");
  const Subscription first = subscribe();
  EXPECT_THAT(drain(*first), ElementsAre("1", "2"));
  EXPECT_THAT(told_, IsEmpty()) << "another one is on its way";
  publish("3");
  EXPECT_THAT(drain(*first), ElementsAre("3"));
  const Subscription second = subscribe();
  EXPECT_THAT(drain(*second), ElementsAre("1", "2", "3"));
  EXPECT_THAT(told_, ElementsAre("1", "2", "3"));
}

TEST_F(EventStreamTest, AsManyComeBackAsThereWere) {
  stream_.expectReturn({.reading = 1});
  publish("1");
  Subscription one = subscribe();
  EXPECT_EQ(stream_.returnDeadline(), EventStream::Clock::time_point::max());
  EXPECT_THAT(drain(*one), ElementsAre("1"));
  one.reset();
  publish("2");
  // The same client again: it has listed meanwhile.
  EXPECT_THAT(drain(*subscribe()), IsEmpty());
}

TEST_F(EventStreamTest, WhoDoesNotComeBackInTimeIsGivenUp) {
  EventStream stream({.returning = EventStream::Clock::duration::zero()});
  stream.expectReturn({.reading = 1});
  publish(stream, "1");
  EXPECT_THAT(told_, IsEmpty());
  EXPECT_THAT(drain(*subscribe(stream)), IsEmpty());
  stream.giveUpReturns();
  EXPECT_THAT(told_, ElementsAre("1"));
  EXPECT_FALSE(stream.listening());
}

TEST_F(EventStreamTest, AfterTheFirstTheOthersHaveLittleTime) {
  EventStream stream({.joining = EventStream::Clock::duration::zero()});
  stream.expectReturn({.reading = 2});
  publish(stream, "1");
  stream.giveUpReturns();
  const Subscription first = subscribe(stream);
  EXPECT_THAT(drain(*first), ElementsAre("1"));
  stream.giveUpReturns();
  EXPECT_THAT(told_, ElementsAre("1"));
  EXPECT_EQ(stream.places(), EventStream::Places{.reading = 1});
}

TEST_F(EventStreamTest, WhoComesBackTooLateForAllOfItHearsThat) {
  stream_.expectReturn({.reading = 1});
  for (size_t i = 0; i < EventStream::kMostWaiting + 3; ++i) publish(std::to_string(i));
  EXPECT_EQ(subscribe()->next(kNow).status().code(), absl::StatusCode::kResourceExhausted);
  // It lists, and goes on.
  const Subscription again = subscribe();
  publish("after");
  EXPECT_THAT(drain(*again), ElementsAre("after"));
}

TEST_F(EventStreamTest, WhoWasCutOffBeforeTheEndHearsThatAfterIt) {
  stream_.expectReturn({.reading = 1, .cutOff = 1});
  publish("1");
  const Subscription fast = subscribe();
  EXPECT_THAT(drain(*fast), ElementsAre("1"));
  EXPECT_EQ(subscribe()->next(kNow).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(stream_.places(), EventStream::Places{.reading = 1});
}

TEST_F(EventStreamTest, WithoutAnyoneToReturnNothingIsKept) {
  publish("1");
  EXPECT_THAT(told_, ElementsAre("1"));
  EXPECT_THAT(drain(*subscribe()), IsEmpty());
  EXPECT_EQ(stream_.returnDeadline(), EventStream::Clock::time_point::max());
}

// Whoever settles: who has lost an event is known before it counts as told.
TEST_F(EventStreamTest, WhatWasLostIsKnownBeforeItCountsAsTold) {
  EventStream* made = nullptr;
  std::vector<EventStream::Places> before;
  EventStream stream(EventStream::Times{.late = std::chrono::seconds(0)},
                     [&] { before.push_back(made->places()); });
  made = &stream;
  const auto suspended = *stream.subscribe(nullptr);
  const auto reader = *stream.subscribe(nullptr);
  size_t told = 0;
  stream.publish(LifeEvent(), [&] { EXPECT_EQ(before.size(), ++told); });
  ASSERT_TRUE(reader->next(std::chrono::milliseconds(0)).ok());
  ASSERT_TRUE(reader->next(std::chrono::milliseconds(0)).ok());  // and settles, by itself
  EXPECT_EQ(told, 1u);
  EXPECT_THAT(before, ::testing::ElementsAre(EventStream::Places{.reading = 1, .cutOff = 1}));
}

}  // namespace
}  // namespace berth::engine
