// The end of what was replaced, and of all when the daemon ends.
#include <thread>

#include "../no_more_threads.hpp"
#include "replacement_fixture.hpp"

namespace berth::plugins {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using testing::eventually;
using testing::Gate;
using ::testing::HasSubstr;

using ReplacementEndTest = testing::ReplacementTest;

std::vector<std::string> operationsNow() {
  std::vector<std::string> names;
  for (const auto& one : runningOperations()) names.push_back(one.name);
  return names;
}

// What stop() waits for, in order.
class Ending {
 public:
  explicit Ending(Registry& registry)
      : thread_([this, &registry] {
          registry.stop([this](const std::string& next) {
            const std::lock_guard lock(mutex_);
            told_.push_back(next);
          });
        }) {}
  ~Ending() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  std::vector<std::string> told() const {
    const std::lock_guard lock(mutex_);
    return told_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> told_;
  std::thread thread_;
};

TEST_F(ReplacementEndTest, TheEndWaitsForWhatIsReplaced) {
  start();
  put("parallel-2");
  Gate gate(host_, {"start"});
  EXPECT_FALSE(replace(std::chrono::milliseconds(50)).ok());
  Ending ending(registry_);
  EXPECT_TRUE(eventually([&] { return absl::IsUnavailable(replace().status()); }));
  EXPECT_TRUE(eventually([&] { return !ending.told().empty(); }));
  EXPECT_THAT(ending.told(), ElementsAre("network \"net\" to be replaced"));
  EXPECT_TRUE(host_.logged({"stop"}).empty());
  gate.open("start");
  ending.join();
  EXPECT_EQ(host_.logged({"stop"}).size(), 2u);
}

TEST_F(ReplacementEndTest, WhatDoesNotStopIsAnOperationAndNamedAtTheEnd) {
  start();
  put("parallel-2");
  Gate gate(host_, {"stop"});
  ASSERT_TRUE(replace().ok());
  EXPECT_TRUE(eventually([&] { return registry_.draining().empty(); }));
  EXPECT_THAT(operationsNow(), Contains("stop network net (plugin parallel)"));
  Ending ending(registry_);
  EXPECT_TRUE(eventually([&] { return !ending.told().empty(); }));
  EXPECT_THAT(ending.told().front(), HasSubstr("network net (plugin parallel) to stop"));
  EXPECT_TRUE(host_.logged({"destroy"}).empty());
  gate.open("stop");
  ending.join();
  EXPECT_EQ(host_.logged({"destroy"}).size(), 1u);
}

TEST_F(ReplacementEndTest, WithoutAThreadToStopItOnItIsStoppedAtTheEnd) {
  start();
  auto user = *registry_.network("net");
  put("parallel-2");
  ASSERT_TRUE(replace().ok());
  {
    const testing_support::NoMoreThreads none;
    EXPECT_TRUE(absl::IsResourceExhausted(replace().status()));
    user = nullptr;
  }
  EXPECT_TRUE(host_.logged({"stop"}).empty());
  registry_.stop();
  EXPECT_EQ(host_.logged({"stop"}).size(), 2u);
  EXPECT_EQ(host_.logged({"destroy"}).size(), 1u);
}

TEST_F(ReplacementEndTest, TheEndStopsWhatIsStillInUseFirst) {
  start();
  const auto user = *registry_.network("net");
  put("parallel-2");
  ASSERT_TRUE(replace().ok());
  std::vector<InstanceState> before;
  registry_.stop([&](const std::string&) { before.push_back(user->instance().state()); });
  ASSERT_GE(before.size(), 2u);
  before.erase(before.begin(), before.end() - 2);
  EXPECT_THAT(before, ElementsAre(InstanceState::kStarted, InstanceState::kStopped));
}

}  // namespace
}  // namespace berth::plugins
