// What a stop of a pod waits for.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using ::testing::IsEmpty;

using PodStopTest = EngineTest;

TEST_F(PodStopTest, AStopDoesNotWaitForTheImageOfAContainerThatIsBeingCreated) {
  keep(podRecord('a'));
  start();
  std::promise<void> unpacked;
  images_.hold(unpacked.get_future().share());
  auto create = std::async(std::launch::async,
                           [&] { return createContainer(id('a'), containerConfig("new")); });
  ASSERT_TRUE(eventually([] {
    const auto running = plugins::runningOperations();
    return std::any_of(running.begin(), running.end(), [](const auto& one) {
      return one.name.starts_with("CreateContainer") && one.stage == "prepare the root filesystem";
    });
  }));
  const absl::Status stopped = engine_->stopPodSandbox(id('a'), Deadline::max());
  EXPECT_TRUE(stopped.ok()) << stopped;
  EXPECT_EQ(create.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(engine_->listContainers({}), IsEmpty());
}

// Who waited for a removal by another call finds it done.
TEST_F(PodStopTest, ARemovalIsToldOnce) {
  keep(podRecord('a', records::POD_STOPPED));
  keep(containerRecord('c', 'a', v1::CONTAINER_EXITED));
  start();
  auto listener = engine_->subscribe([] {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::promise<void> removed;
  world_.set("snap remove", {.until = removed.get_future().share()});
  auto one = std::async(std::launch::async,
                        [&] { return engine_->removeContainer(id('c'), Deadline::max()); });
  ASSERT_TRUE(world_.await("snap remove"));
  auto all = std::async(std::launch::async,
                        [&] { return engine_->removePodSandbox(id('a'), Deadline::max()); });
  ASSERT_TRUE(eventually([] {
    const auto running = plugins::runningOperations();
    return std::any_of(running.begin(), running.end(),
                       [](const auto& each) { return each.name.starts_with("RemovePodSandbox"); });
  }));
  removed.set_value();
  EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(all.get().ok());
  std::vector<std::string> deleted;
  for (;;) {
    const auto event = (*listener)->next(std::chrono::milliseconds(0));
    if (!event.ok() || *event == nullptr) break;
    if ((*event)->container_event_type() == v1::CONTAINER_DELETED_EVENT)
      deleted.push_back((*event)->container_id());
  }
  EXPECT_THAT(deleted, ::testing::ElementsAre(id('c'), id('a')));
}

}  // namespace
}  // namespace berth::engine::testing
