// What becomes of containers whose pod's isolation ends by itself.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

class PodLossTest : public EngineTest {
 protected:
  const std::string start_ = strCat("runc container_start ", id('c'));

  void SetUp() override {
    keep(podRecord('a'));
    keep(containerRecord('c', 'a', v1::CONTAINER_CREATED));
  }
  // Until all that the loss is the reason for has been done.
  void lose() {
    const Counting collected(strCat("collect the exits of ", id('a')));
    plugins::Event event;
    event.kind = BERTH_EVENT_POD_LOST;
    event.pod = id('a');
    event.message = "its monitor has died";
    engine_->deliver(std::move(event));
    ASSERT_TRUE(eventually([&] { return collected.count() == 1; }));
  }
};

// The runtime had it started, and nobody will tell of its end.
TEST_F(PodLossTest, AStartThatWasUnderWayHasEnded) {
  start();
  std::promise<void> answer;
  world_.set(start_, {.until = answer.get_future().share()});
  world_.set(strCat("runc container_wait ", id('c')), {.code = BERTH_NOT_FOUND});
  auto started =
      std::async(std::launch::async, [&] { return engine_->startContainer(id('c'), soon()); });
  ASSERT_TRUE(world_.await(start_));
  lose();
  EXPECT_EQ(status('c').state(), v1::CONTAINER_CREATED);
  answer.set_value();
  EXPECT_TRUE(started.get().ok());
  EXPECT_EQ(status('c').state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status('c').exit_code(), 137);
}

TEST_F(PodLossTest, AStartThatWasUnderWayKeepsAnExitThatIsKnown) {
  start();
  std::promise<void> answer;
  world_.set(start_, {.until = answer.get_future().share()});
  world_.set(strCat("runc container_wait ", id('c')),
             {.containers = {{.state = BERTH_CONTAINER_EXITED, .exitCode = 5, .startedAt = 1}}});
  auto started =
      std::async(std::launch::async, [&] { return engine_->startContainer(id('c'), soon()); });
  ASSERT_TRUE(world_.await(start_));
  lose();
  answer.set_value();
  EXPECT_TRUE(started.get().ok());
  EXPECT_EQ(status('c').exit_code(), 5);
}

}  // namespace
}  // namespace berth::engine::testing
