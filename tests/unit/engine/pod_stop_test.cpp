// What a stop of a pod waits for.
#include <future>

#include "engine_fixture.hpp"

namespace berth::engine {
namespace {

namespace v1 = runtime::v1;

TEST_F(EngineTest, AStopDoesNotWaitForTheImageOfAContainerThatIsBeingCreated) {
  const std::string layer = images::testing::gzip(one_);
  const std::string id = publish("app:1", {one_}, {layer});
  ASSERT_TRUE(pull("app:1").ok());
  startEngine();
  recover();
  // Somebody else has it unpacked for the containers' snapshotter, and that takes long.
  closeGate(images::sha256(layer));
  auto stranger = std::async(std::launch::async, [&] {
    return images_->ensureUnpacked(op_, **images_->find(id), "containers", nullptr);
  });
  awaitCount("at the gate", 1);
  v1::CreateContainerRequest request;
  request.set_pod_sandbox_id(kPod);
  request.mutable_config()->mutable_metadata()->set_name("new");
  request.mutable_config()->mutable_image()->set_image(id);
  auto create = std::async(std::launch::async,
                           [&] { return engine_->createContainer(request, Deadline::max()); });
  await([] {
    const auto running = plugins::runningOperations();
    return std::any_of(running.begin(), running.end(), [](const auto& one) {
      return one.name.starts_with("CreateContainer") && one.stage == "prepare the root filesystem";
    });
  });

  const absl::Status stopped = engine_->stopPodSandbox(kPod, Deadline::max());
  EXPECT_TRUE(stopped.ok()) << stopped;
  EXPECT_EQ(create.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(engine_->listContainers({}).size(), 1u);

  openGate(images::sha256(layer));
  EXPECT_TRUE(stranger.get().ok());
}

}  // namespace
}  // namespace berth::engine
