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

}  // namespace
}  // namespace berth::engine::testing
