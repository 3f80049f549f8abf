// Pods and the forms of plugins that they are on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace berth::engine {
namespace {

using plugins::Kind;
using ::testing::ElementsAre;
using testing::id;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FormsTest : public testing::EngineTest {
 protected:
  // Returns the one before.
  std::shared_ptr<plugins::Instance> replace(Kind kind, const std::string& name,
                                             const std::string& plugin) {
    const plugins::Operation op("replace", soon());
    const boost::json::object options{
        {"world", std::to_string(reinterpret_cast<uintptr_t>(&world_))}};
    auto replaced = registry_->replace(op, {kind, name, plugin, options, {}, {}});
    EXPECT_TRUE(replaced.ok()) << replaced.status();
    return replaced.ok() ? replaced->before : nullptr;
  }
  std::vector<std::string> podsOn(Kind kind) const {
    for (const auto& instance : registry_->instances())
      if (instance->kind() == kind) return engine_->podsOn(*instance);
    return {};
  }
  // Of those that were replaced, the oldest first.
  std::vector<std::vector<std::string>> podsLeft() const {
    std::vector<std::vector<std::string>> result;
    for (const auto& form : registry_->draining())
      result.push_back(engine_->podsOn(*form->instance));
    return result;
  }
  bool eventuallyDrained() {
    return eventually([&] { return registry_->draining().empty(); });
  }
};

TEST_F(FormsTest, APodStaysOnItsRuntimeUntilItHasStopped) {
  start();
  const auto old = runPod("old");
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_NE(replace(Kind::kRuntime, "runc", "runtime"), nullptr);
  const auto middle = runPod("middle");
  ASSERT_TRUE(middle.ok()) << middle.status();
  ASSERT_NE(replace(Kind::kRuntime, "runc", "runtime"), nullptr);
  const auto fresh = runPod("fresh");
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_THAT(podsLeft(), ElementsAre(ElementsAre("default/old"), ElementsAre("default/middle")));
  EXPECT_THAT(podsOn(Kind::kRuntime), ElementsAre("default/fresh"));
  // A kubelet keeps the records of pods that have ended for long.
  ASSERT_TRUE(engine_->stopPodSandbox(*old, soon()).ok());
  EXPECT_TRUE(eventually([&] { return registry_->draining().size() == 1; }));
  EXPECT_TRUE(engine_->podSandboxInfo(*old).ok());
  ASSERT_TRUE(engine_->removePodSandbox(*old, soon()).ok());
  ASSERT_TRUE(engine_->removePodSandbox(*middle, soon()).ok());
  EXPECT_TRUE(eventuallyDrained());
  EXPECT_TRUE(engine_->stopPodSandbox(*fresh, soon()).ok());
}

TEST_F(FormsTest, APodThatCouldNotBeStoppedStays) {
  start();
  const auto old = runPod("old");
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_NE(replace(Kind::kRuntime, "runc", "runtime"), nullptr);
  const std::string call = support::strCat("runc pod_stop ", *old);
  world_.set(call, {.code = BERTH_UNAVAILABLE});
  EXPECT_FALSE(engine_->stopPodSandbox(*old, soon()).ok());
  EXPECT_THAT(podsLeft(), ElementsAre(ElementsAre("default/old")));
  world_.set(call, {});
  EXPECT_TRUE(engine_->stopPodSandbox(*old, soon()).ok());
  EXPECT_TRUE(eventuallyDrained());
}

TEST_F(FormsTest, APodStaysOnItsNetworkUntilItIsDetached) {
  auto record = podRecord('a');
  record.mutable_network()->set_wanted(true);
  record.mutable_network()->set_network("net");
  keep(record);
  keep(podRecord('b', records::POD_STOPPED));
  start();
  EXPECT_THAT(podsOn(Kind::kNetwork), ElementsAre("default/pod-a"));
  EXPECT_THAT(podsOn(Kind::kRuntime), ElementsAre("default/pod-a")) << "the other has ended";
  ASSERT_NE(replace(Kind::kNetwork, "net", "network"), nullptr);
  EXPECT_THAT(podsLeft(), ElementsAre(ElementsAre("default/pod-a")));
  EXPECT_THAT(podsOn(Kind::kNetwork), IsEmpty());
  ASSERT_TRUE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(world_.count(support::strCat("net detach ", id('a'))), 1u);
  EXPECT_TRUE(eventuallyDrained());
}

// The next daemon asks what the older forms have left of what there is then.
TEST_F(FormsTest, AfterARestartAllPodsAreOnTheSameForm) {
  start();
  const auto old = runPod("old");
  ASSERT_TRUE(old.ok()) << old.status();
  ASSERT_NE(replace(Kind::kRuntime, "runc", "runtime"), nullptr);
  const auto fresh = runPod("fresh");
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  ASSERT_TRUE(engine_->savePluginState("runtime", "runc", *old, "of the old form").ok());
  stop();
  start();
  EXPECT_THAT(podsLeft(), IsEmpty());
  EXPECT_THAT(podsOn(Kind::kRuntime), SizeIs(2));
  EXPECT_EQ(world_.count(support::strCat("runc pod_recover ", *old, " of the old form")), 1u);
  EXPECT_EQ(world_.count(support::strCat("runc pod_recover ", *fresh)), 1u);
}

TEST_F(FormsTest, WithoutPodsTheOldOneGoes) {
  start();
  EXPECT_NE(replace(Kind::kRuntime, "runc", "runtime"), nullptr);
  EXPECT_TRUE(eventuallyDrained());
}

TEST_F(FormsTest, ARangeThatIsToldInTheMomentOfTheSwitchReachesTheNewNetwork) {
  start();
  std::promise<void> taken;
  world_.set("net set_pod_cidr", {.until = taken.get_future().share()});
  auto told = std::async(std::launch::async, [&] {
    return engine_->updatePodCidr(plugins::Operation("UpdateRuntimeConfig", soon()), "10.7.0.0/24");
  });
  ASSERT_TRUE(world_.await("net set_pod_cidr 10.7.0.0/24"));
  ASSERT_NE(replace(Kind::kNetwork, "net", "network"), nullptr);
  EXPECT_EQ(world_.count("net set_pod_cidr 10.7.0.0/24"), 1u) << "the old one has not taken it";
  taken.set_value();
  EXPECT_TRUE(told.get().ok());
  EXPECT_EQ(world_.count("net set_pod_cidr 10.7.0.0/24"), 2u);
}

}  // namespace
}  // namespace berth::engine
