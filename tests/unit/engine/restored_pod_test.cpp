// What is told of a pod that is restored from a checkpoint.
#include <gmock/gmock.h>

#include "life_events_fixture.hpp"

namespace berth::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

}  // namespace
}  // namespace berth::engine
