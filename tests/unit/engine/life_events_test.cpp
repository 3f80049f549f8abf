#include "engine/life_events.hpp"

#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"

namespace berth::engine {
namespace {

namespace v1 = runtime::v1;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::chrono::milliseconds kNow{0};

// "pod created", "container stopped", …
std::string text(const LifeEvent& event) {
  static const std::map<int, std::string> kWords = {{v1::CONTAINER_CREATED_EVENT, " created"},
                                                    {v1::CONTAINER_STARTED_EVENT, " started"},
                                                    {v1::CONTAINER_STOPPED_EVENT, " stopped"},
                                                    {v1::CONTAINER_DELETED_EVENT, " deleted"}};
  return event.container_id() + kWords.at(event.container_event_type());
}

std::vector<std::string> drain(LifeEvents::Listener& listener) {
  std::vector<std::string> texts;
  int64_t last = 0;
  for (;;) {
    auto event = listener.next(kNow);
    if (!event.ok() || *event == nullptr) return texts;
    texts.push_back(text(**event));
    EXPECT_GT((*event)->created_at(), last);
    last = (*event)->created_at();
  }
}

// A daemon's life: what it knows of one pod and one container, on the store that outlives it.
class Daemon {
 public:
  explicit Daemon(store::Store& store, EventStream::Times times = {.late = std::chrono::hours(1)})
      : events(
            store,
            [](const Pod& of, LifeEvent& event) {
              event.mutable_pod_sandbox_status()->set_id(of.id());
            },
            times) {
    EXPECT_TRUE(events.start().ok());
    records::PodRecord podRecord;
    if (auto kept = store.get(kPodKind, "pod"); kept.ok()) podRecord.ParseFromString(*kept);
    podRecord.set_id("pod");
    pod = std::make_shared<Pod>(podRecord, nullptr, store);
    pod->observe(events);
    records::ContainerRecord record;
    if (auto kept = store.get(kContainerKind, "container"); kept.ok()) {
      record.ParseFromString(*kept);
    } else {
      record.set_creating(true);
    }
    record.set_id("container");
    container = std::make_shared<Container>(record, pod, store);
    container->observe(events);
    events.onStep(*pod);
    events.onStep(*container);
    const auto deleted = [](const auto& r) { return r.deleted(); };
    if (container->peek(deleted)) events.removed(*container);
    if (pod->peek(deleted)) events.removed(*pod);
  }

  void setPod(records::PodState state) {
    EXPECT_TRUE(pod->change([=](records::PodRecord& r) { r.set_state(state); }).ok());
  }
  void setContainer(v1::ContainerState state) {
    EXPECT_TRUE(container
                    ->change([=](records::ContainerRecord& r) {
                      r.set_creating(false);
                      r.set_state(state);
                    })
                    .ok());
  }
  void removeContainer() {
    EXPECT_TRUE(container->retire().ok());
    events.removed(*container);
  }
  void removePod() {
    EXPECT_TRUE(pod->retire().ok());
    events.removed(*pod);
  }
  std::unique_ptr<LifeEvents::Listener> listen() {
    auto listener = events.subscribe([] {});
    EXPECT_TRUE(listener.ok()) << listener.status();
    return *std::move(listener);
  }

  LifeEvents events;
  std::shared_ptr<Pod> pod;
  std::shared_ptr<Container> container;
};

// What a store is when the daemon is killed: a copy of its files at that moment.
class Crash {
 public:
  explicit Crash(std::string path) : path_(std::move(path)) {}
  std::unique_ptr<store::Store> now() const {
    const std::string copy = path_ + ".after";
    for (const char* suffix : {"", "-wal"}) {
      if (std::filesystem::exists(path_ + suffix))
        std::filesystem::copy_file(path_ + suffix, copy + suffix);
    }
    std::string setAside;
    auto opened = store::Store::open(copy, setAside);
    EXPECT_TRUE(opened.ok()) << opened.status();
    EXPECT_TRUE(setAside.empty());
    return *std::move(opened);
  }

 private:
  const std::string path_;
};

class LifeEventsTest : public ::testing::Test {
 protected:
  testing::TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_;

  void SetUp() override {
    std::string setAside;
    auto opened = store::Store::open(directory_ / "berth.db", setAside);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
  }
};

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

TEST_F(LifeEventsTest, ARestoredPodIsToldWhenItIsWhole) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  const auto setRestoring = [&](bool restoring) {
    ASSERT_TRUE(
        daemon.pod->change([=](records::PodRecord& r) { r.set_restoring(restoring); }).ok());
  };
  setRestoring(true);
  daemon.setPod(records::POD_READY);
  daemon.setContainer(v1::CONTAINER_CREATED);
  EXPECT_THAT(drain(*listener), IsEmpty());
  setRestoring(false);
  daemon.events.onStep(*daemon.container);
  EXPECT_THAT(drain(*listener), ElementsAre("pod created", "pod started", "container created"));
}

TEST_F(LifeEventsTest, ARestoredPodThatIsUndoneIsNeverTold) {
  Daemon daemon(*store_);
  const auto listener = daemon.listen();
  ASSERT_TRUE(daemon.pod->change([](records::PodRecord& r) { r.set_restoring(true); }).ok());
  daemon.setPod(records::POD_READY);
  daemon.setContainer(v1::CONTAINER_CREATED);
  daemon.setPod(records::POD_STOPPED);
  daemon.events.removed(*daemon.container);
  daemon.events.removed(*daemon.pod);
  EXPECT_THAT(drain(*listener), IsEmpty());
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
