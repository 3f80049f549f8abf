#include <thread>

#include <gmock/gmock.h>

#include "life_events_fixture.hpp"

namespace berth::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(LifeEventsTest, AWholeLifeIsTold) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  daemon.setContainer(v1::CONTAINER_CREATED);
  daemon.setContainer(v1::CONTAINER_RUNNING);
  daemon.setContainer(v1::CONTAINER_EXITED);
  daemon.removeContainer();
  daemon.setPod(records::POD_STOPPING);
  daemon.setPod(records::POD_STOPPED);
  daemon.removePod();
  EXPECT_THAT(drain(*listener),
              ElementsAre("pod created", "pod started", "container created", "container started",
                          "container stopped", "container deleted", "pod stopped", "pod deleted"));
}

TEST_F(LifeEventsTest, AStepIsToldOnceHoweverOftenItIsReported) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  daemon.setPod(records::POD_READY);
  daemon.events.onStep(*daemon.pod);
  EXPECT_THAT(drain(*listener), ElementsAre("pod created", "pod started"));
}

TEST_F(LifeEventsTest, AnExitThatOvertakesTheStartStillComesAfterIt) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setContainer(v1::CONTAINER_CREATED);
  daemon.setContainer(v1::CONTAINER_EXITED);
  EXPECT_THAT(drain(*listener),
              ElementsAre("container created", "container started", "container stopped"));
}

TEST_F(LifeEventsTest, AProgramThatCouldNotBeRunWasNeverStarted) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setContainer(v1::CONTAINER_CREATED);
  ASSERT_TRUE(daemon.container
                  ->change([](records::ContainerRecord& r) {
                    r.set_state(v1::CONTAINER_EXITED);
                    r.set_reason(std::string(kStartErrorReason));
                  })
                  .ok());
  EXPECT_THAT(drain(*listener), ElementsAre("container created", "container stopped"));
}

TEST_F(LifeEventsTest, WhatNeverCameUpIsNotTold) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_CREATING);
  daemon.setPod(records::POD_STOPPING);
  daemon.setPod(records::POD_STOPPED);
  daemon.removePod();
  daemon.removeContainer();
  EXPECT_THAT(drain(*listener), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(store_->get(kPodKind, "pod").status()));
}

TEST_F(LifeEventsTest, APodThatIsLostHasStopped) {
  Daemon daemon(*store_);
  daemon.setPod(records::POD_READY);
  const auto listener = daemon.listen();
  ASSERT_TRUE(daemon.pod->change([](records::PodRecord& r) { r.set_lost(true); }).ok());
  daemon.setPod(records::POD_STOPPED);
  EXPECT_THAT(drain(*listener), ElementsAre("pod stopped"));
}

TEST_F(LifeEventsTest, ConcurrentReportsAreToldInOrder) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  std::thread starter([&] {
    daemon.setContainer(v1::CONTAINER_CREATED);
    ASSERT_TRUE(daemon.container
                    ->change([](records::ContainerRecord& r) {
                      if (r.state() == v1::CONTAINER_CREATED) r.set_state(v1::CONTAINER_RUNNING);
                    })
                    .ok());
  });
  std::thread ender([&] { daemon.setContainer(v1::CONTAINER_EXITED); });
  starter.join();
  ender.join();
  const std::vector<std::string> texts = drain(*listener);
  ASSERT_EQ(std::count(texts.begin(), texts.end(), "container created"), 1);
  EXPECT_TRUE(std::is_sorted(texts.begin(), texts.end()));
}

TEST_F(LifeEventsTest, WithoutListenersARestartTellsNothing) {
  {
    Daemon daemon(*store_);
    daemon.setPod(records::POD_READY);
    daemon.setContainer(v1::CONTAINER_RUNNING);
  }
  Daemon next(*store_);
  next.setContainer(v1::CONTAINER_EXITED);  // as recovery finds it
  EXPECT_THAT(drain(*next.listen()), IsEmpty());
}

TEST_F(LifeEventsTest, AListenerThatWasThereHearsWhatHappenedMeanwhile) {
  {
    Daemon daemon(*store_);
    const auto listener = daemon.listen();
    daemon.setPod(records::POD_READY);
    daemon.setContainer(v1::CONTAINER_RUNNING);
    EXPECT_EQ(drain(*listener).size(), 4u);
    daemon.events.close();  // as at the daemon's orderly end; a crash does no more
  }
  Daemon next(*store_);
  next.setContainer(v1::CONTAINER_EXITED);  // as recovery finds it
  EXPECT_THAT(drain(*next.listen()), ElementsAre("container stopped"));
}

TEST_F(LifeEventsTest, WhatWasNotReadBeforeAnOrderlyEndIsToldAfterIt) {
  {
    Daemon daemon(*store_);
    auto listener = daemon.listen();
    daemon.setPod(records::POD_READY);
    daemon.setContainer(v1::CONTAINER_RUNNING);
    EXPECT_EQ(drain(*listener).size(), 4u);
    daemon.setContainer(v1::CONTAINER_EXITED);
    ASSERT_TRUE(listener->next(kNow).ok());  // its delivery blocks
    daemon.events.close();
    listener.reset();
  }
  Daemon next(*store_);
  EXPECT_THAT(drain(*next.listen()), ElementsAre("container stopped"));
}

TEST_F(LifeEventsTest, ACrashRepeatsNothingBecauseOfOneThatDoesNotRead) {
  Crash crash(directory_ / "berth.db");
  Daemon daemon(*store_, {.late = std::chrono::seconds(0)});
  const auto suspended = daemon.listen();
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  ASSERT_TRUE(suspended->next(kNow).ok());
  EXPECT_THAT(drain(*listener), ElementsAre("pod created", "pod started"));
  daemon.setContainer(v1::CONTAINER_CREATED);  // recorded, but delivered to nobody

  const auto after = crash.now();
  Daemon next(*after);
  const auto first = next.listen();
  EXPECT_THAT(drain(*first), ElementsAre("container created"));
  // Somebody has lost events, and is told so.
  const auto second = next.listen();
  EXPECT_TRUE(absl::IsResourceExhausted(second->next(kNow).status()));
  EXPECT_THAT(drain(*next.listen()), IsEmpty());
}

TEST_F(LifeEventsTest, WhoHasReadAllAgainIsCutOffNoMore) {
  Daemon daemon(*store_, {.late = std::chrono::seconds(0)});
  const auto slow = daemon.listen();
  const auto fast = daemon.listen();
  daemon.setPod(records::POD_READY);
  EXPECT_EQ(drain(*fast).size(), 2u);
  daemon.setContainer(v1::CONTAINER_CREATED);
  EXPECT_EQ(*store_->get("events", "listeners"), "1 1");
  EXPECT_EQ(drain(*slow).size(), 3u);
  EXPECT_EQ(drain(*fast).size(), 1u);
  daemon.setContainer(v1::CONTAINER_RUNNING);
  EXPECT_EQ(*store_->get("events", "listeners"), "2 0");
}

TEST_F(LifeEventsTest, ADeletionThatWasNotDeliveredIsToldAfterACrash) {
  Crash crash(directory_ / "berth.db");
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  daemon.setContainer(v1::CONTAINER_EXITED);
  EXPECT_EQ(drain(*listener).size(), 5u);
  daemon.removeContainer();
  daemon.removePod();

  const auto after = crash.now();
  {
    Daemon next(*after);
    const auto again = next.listen();
    EXPECT_THAT(drain(*again), ElementsAre("container deleted", "pod deleted"));
  }
  EXPECT_TRUE(absl::IsNotFound(after->get(kPodKind, "pod").status())) << "then it goes";
  EXPECT_TRUE(absl::IsNotFound(after->get(kContainerKind, "container").status()));
}

TEST_F(LifeEventsTest, WhatIsRemovedAfterTheLastEventIsToldByTheNextDaemon) {
  {
    Daemon daemon(*store_);
    const auto listener = daemon.listen();
    daemon.setPod(records::POD_READY);
    daemon.setContainer(v1::CONTAINER_EXITED);
    EXPECT_EQ(drain(*listener).size(), 5u);
    daemon.events.close();
    daemon.removeContainer();
    EXPECT_THAT(drain(*listener), IsEmpty());
  }
  Daemon next(*store_);
  EXPECT_THAT(drain(*next.listen()), ElementsAre("container deleted"));
}

TEST_F(LifeEventsTest, ARecordStaysNoLongerThanItsDeletionIsToBeTold) {
  Daemon daemon(*store_);
  auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  daemon.removePod();
  EXPECT_TRUE(store_->get(kPodKind, "pod").ok());
  listener.reset();
  EXPECT_TRUE(absl::IsNotFound(store_->get(kPodKind, "pod").status()));
  daemon.removeContainer();  // nobody listens
  EXPECT_TRUE(absl::IsNotFound(store_->get(kContainerKind, "container").status()));
}

TEST_F(LifeEventsTest, WhoWasCutOffHearsOfItAfterACrashToo) {
  Crash crash(directory_ / "berth.db");
  Daemon daemon(*store_);
  const auto suspended = daemon.listen();
  for (size_t i = 0; i <= EventStream::kMostWaiting; ++i) {
    daemon.container->setAnnounced(LifeStep::kNone);
    daemon.setContainer(v1::CONTAINER_CREATED);
  }
  const auto after = crash.now();
  Daemon next(*after);
  EXPECT_EQ(next.listen()->next(kNow).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(drain(*next.listen()), IsEmpty());
}

TEST_F(LifeEventsTest, AListenerThatLeftIsNotExpectedBack) {
  {
    Daemon daemon(*store_);
    daemon.listen().reset();
    daemon.setPod(records::POD_READY);
  }
  Daemon next(*store_);
  EXPECT_FALSE(next.events.listening());
}

TEST_F(LifeEventsTest, ALateDeliveryBringsNoRecordBack) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setContainer(v1::CONTAINER_CREATED);
  ASSERT_TRUE(daemon.container->erase().ok());
  EXPECT_THAT(drain(*listener), ElementsAre("container created"));
  EXPECT_EQ(store_->get(kContainerKind, "container").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(LifeEventsTest, EventsCarryTheStatuses) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  daemon.setPod(records::POD_READY);
  const auto event = listener->next(kNow);
  ASSERT_TRUE(event.ok() && *event != nullptr);
  EXPECT_EQ((*event)->pod_sandbox_status().id(), "pod");
}

}  // namespace
}  // namespace berth::engine
