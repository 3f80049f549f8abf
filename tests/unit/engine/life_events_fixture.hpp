// Lives of daemons on one store, and what they tell.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "engine/life_events.hpp"

namespace berth::engine {

namespace v1 = runtime::v1;

inline constexpr std::chrono::milliseconds kNow{0};

// "pod created", "container stopped", …
inline std::string text(const LifeEvent& event) {
  static const std::map<int, std::string> kWords = {{v1::CONTAINER_CREATED_EVENT, " created"},
                                                    {v1::CONTAINER_STARTED_EVENT, " started"},
                                                    {v1::CONTAINER_STOPPED_EVENT, " stopped"},
                                                    {v1::CONTAINER_DELETED_EVENT, " deleted"}};
  return event.container_id() + kWords.at(event.container_event_type());
}

inline std::vector<std::string> drain(LifeEvents::Listener& listener) {
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

}  // namespace berth::engine
