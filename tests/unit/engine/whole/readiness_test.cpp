// What an engine knows of the things that each new pod needs.
#include "engine/readiness.hpp"

#include <future>

#include <gtest/gtest.h>

#include "fixture.hpp"

namespace berth::engine {
namespace {

using plugins::Kind;

class NeedsTest : public testing::EngineTest {
 protected:
  void start() {
    EngineTest::start();
    needs_ = needsOfPods(*engine_, *store_);
  }
  std::optional<common::Outage> outage() {
    for (const Readiness::Need& need : needs_)
      if (auto found = need.outage()) return found;
    return std::nullopt;
  }

  std::vector<Readiness::Need> needs_;
};

TEST_F(NeedsTest, NothingIsOut) {
  start();
  EXPECT_FALSE(outage());
  // It has been asked, beside the question.
  EXPECT_TRUE(world_.await("runc check_checkpoints"));
  EXPECT_FALSE(outage());
}

TEST_F(NeedsTest, ARuntimeThatDoesNotReturnIsOutUntilItDoes) {
  std::promise<void> end;
  world_.set("runc check_checkpoints", {.until = end.get_future().share()});
  start();
  const auto begin = Readiness::Clock::now();
  EXPECT_TRUE(eventually([&] { return outage().has_value(); }));
  // Nobody who asks waits for it, and it counts from the question on.
  EXPECT_TRUE(world_.await("runc check_checkpoints"));
  EXPECT_LT(outage()->since - begin, std::chrono::seconds(1));
  EXPECT_EQ(outage()->why, "plugin runc does not answer");
  end.set_value();
  EXPECT_TRUE(eventually([&] { return !outage().has_value(); }));
}

TEST_F(NeedsTest, OneThatHasTakenItsPlaceIsNotOut) {
  std::promise<void> end;
  world_.set("runc check_checkpoints", {.until = end.get_future().share()});
  start();
  EXPECT_TRUE(eventually([&] { return outage().has_value(); }));
  world_.set("runc check_checkpoints", {});
  const plugins::Operation op("replace", soon());
  const boost::json::object options{
      {"world", std::to_string(reinterpret_cast<uintptr_t>(&world_))}};
  const auto replaced =
      registry_->replace(op, {Kind::kRuntime, "runc", "runtime", options, {}, {}});
  EXPECT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_FALSE(outage());
  EXPECT_TRUE(world_.await("runc check_checkpoints", 2));
  EXPECT_FALSE(outage());
  end.set_value();
}

}  // namespace
}  // namespace berth::engine
