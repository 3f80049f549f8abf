// Pods and the forms of plugins that they are on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace berth::engine {
namespace {

using plugins::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FormsTest : public testing::EngineTest {
 protected:
  // Returns the one before.
  std::shared_ptr<plugins::Instance> replace(Kind kind, const std::string& name,
                                             const std::string& plugin) {
    const plugins::Operation op("replace", soon());
    const boost::json::object options{
        {"world", std::to_string(reinterpret_cast<uintptr_t>(&world_))}};
    auto replaced = registry_->replace(op, {kind, name, plugin, options});
    EXPECT_TRUE(replaced.ok()) << replaced.status();
    return replaced.ok() ? replaced->before : nullptr;
  }
};

TEST_F(FormsTest, APodStaysOnItsRuntimeUntilItIsGone) {
  start();
  const auto old = runPod("old");
  ASSERT_TRUE(old.ok()) << old.status();
  const plugins::Instance* before = replace(Kind::kRuntime, "runc", "runtime").get();
  const auto fresh = runPod("fresh");
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  ASSERT_EQ(registry_->draining().size(), 1u);
  EXPECT_EQ(registry_->draining()[0].get(), before);
  EXPECT_THAT(engine_->podsOn(*registry_->draining()[0]), ElementsAre("default/old"));
  EXPECT_THAT(engine_->podsOn(*registry_->instances().back()), ElementsAre("default/fresh"));
  ASSERT_TRUE(engine_->stopPodSandbox(*old, soon()).ok());
  ASSERT_TRUE(engine_->removePodSandbox(*old, soon()).ok());
  EXPECT_TRUE(eventually([&] { return registry_->draining().empty(); }));
  EXPECT_TRUE(engine_->stopPodSandbox(*fresh, soon()).ok());
}

TEST_F(FormsTest, WithoutPodsTheOldOneGoesAtOnce) {
  start();
  EXPECT_NE(replace(Kind::kSnapshotter, "snap", "snapshotter"), nullptr);
  EXPECT_THAT(registry_->draining(), IsEmpty());
}

}  // namespace
}  // namespace berth::engine
