// The network's garbage: who waits until it is collected, and what when that fails.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

class NetworkGarbageTest : public EngineTest {
 protected:
  const Answer notNow_{.code = BERTH_UNAVAILABLE, .message = "not now"};

  absl::StatusOr<std::string> runAttached(const std::string& name) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = podConfig(name);
    auto* security = request.mutable_config()->mutable_linux()->mutable_security_context();
    security->mutable_namespace_options()->set_network(v1::POD);
    return engine_->runPodSandbox(request, soon());
  }
  // A pod that is run waits until `end` lets the collection under way end, and is attached then.
  void expectWaiting(
      std::promise<void>& end, const std::function<void()>& meanwhile = [] {}) {
    auto run = std::async(std::launch::async, [&] { return runAttached("new"); });
    EXPECT_TRUE(eventually([] {
      const auto running = plugins::runningOperations();
      return std::any_of(running.begin(), running.end(),
                         [](const auto& one) { return one.stage.ends_with("to be collected"); });
    }));
    meanwhile();
    end.set_value();
    const auto pod = run.get();
    ASSERT_TRUE(pod.ok()) << pod.status();
    EXPECT_EQ(world_.count(strCat("net attach ", *pod)), 1u);
  }
};

TEST_F(NetworkGarbageTest, ACollectionThatHangsHoldsUpNothingButAttachments) {
  keep(podRecord('a'));
  std::promise<void> hang;
  world_.set("net gc", {.until = hang.get_future().share()});
  start();
  EXPECT_EQ(readyPods(), "a");
  expectWaiting(hang, [this] { EXPECT_TRUE(runPod("of the host").ok()); });
}

TEST_F(NetworkGarbageTest, ItIsTriedAgainAndSparesWhatWasAttachedSince) {
  world_.set("net gc", notNow_);
  start();
  const auto pod = runAttached("new");
  ASSERT_TRUE(pod.ok()) << pod.status();
  world_.set("net gc", {});
  EXPECT_TRUE(world_.await(strCat("net gc ", pod->substr(0, 1))));
}

TEST_F(NetworkGarbageTest, WhoIsAttachedWaitsForATryThatDoesNotKnowIt) {
  Answer first = notNow_;
  std::promise<void> fail;
  first.until = fail.get_future().share();
  world_.set("net gc", first);
  open();
  auto recovered = std::async(std::launch::async, [this] { return engine_->recover(); });
  ASSERT_TRUE(world_.await("net gc"));
  std::promise<void> hang;
  world_.set("net gc", {.until = hang.get_future().share()});
  fail.set_value();
  ASSERT_TRUE(recovered.get().ok());
  ASSERT_TRUE(world_.await("net gc", 2));
  expectWaiting(hang);
}

}  // namespace
}  // namespace berth::engine::testing
