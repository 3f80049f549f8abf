// What a daemon that starts makes of pods that it finds.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using absl::StatusCode;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class ReachTest : public EngineTest {
 protected:
  const std::string recover_ = strCat("runc pod_recover ", id('a'));
  const std::string stop_ = strCat("runc pod_stop ", id('a'));

  void SetUp() override {
    keep(podRecord('a'));
    keep(containerRecord('c', 'a'));
  }
};

TEST_F(ReachTest, APodThatCannotBeReachedGoesOn) {
  world_.set(recover_, {.code = BERTH_FAILED_PRECONDITION, .message = "use a newer plugin"});
  start();
  ASSERT_TRUE(world_.await(recover_, 2)) << "it is asked again";
  EXPECT_EQ(readyPods(), "a");
  EXPECT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  EXPECT_FALSE(kept('a').lost());
  const absl::Status stopped = engine_->stopContainer(id('c'), std::chrono::seconds(0), soon());
  EXPECT_EQ(stopped.code(), StatusCode::kUnavailable) << stopped;
  EXPECT_THAT(stopped.ToString(), HasSubstr("use a newer plugin"));
  EXPECT_EQ(engine_->removeContainer(id('c'), soon()).code(), StatusCode::kUnavailable);

  world_.set(
      recover_,
      {.containers = {
           {.id = id('c'), .state = BERTH_CONTAINER_EXITED, .exitCode = 7, .startedAt = 1}}});
  ASSERT_TRUE(eventually([&] { return status('c').state() == v1::CONTAINER_EXITED; }));
  EXPECT_EQ(status('c').exit_code(), 7);
  EXPECT_EQ(readyPods(), "a");
  EXPECT_THAT(world_.calls(), Not(Contains(stop_)));
}

TEST_F(ReachTest, WhatIsNotKnownToRunHasNotFailedToStart) {
  keep(containerRecord('d', 'a', v1::CONTAINER_CREATED));
  world_.set(recover_, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  EXPECT_EQ(engine_->startContainer(id('d'), soon()).code(), StatusCode::kUnavailable);
  EXPECT_EQ(engine_->stopContainer(id('d'), std::chrono::seconds(0), soon()).code(),
            StatusCode::kUnavailable)
      << "its start may have been under way";
  EXPECT_EQ(status('d').state(), v1::CONTAINER_CREATED);
}

TEST_F(ReachTest, OneThatHangsHoldsUpNoOther) {
  std::promise<void> hang;
  world_.set(recover_, {.until = hang.get_future().share()});
  for (const char pod : std::string("123456789")) keep(podRecord(pod));
  start();
  EXPECT_EQ(readyPods(), "123456789a") << "served all the same";
  // The others are reached: what needs their runtime works.
  for (const char pod : std::string("123456789"))
    EXPECT_TRUE(createContainer(id(pod), containerConfig("new")).ok());
  EXPECT_EQ(createContainer(id('a'), containerConfig("new")).status().code(),
            StatusCode::kUnavailable);
  hang.set_value();
}

TEST_F(ReachTest, APodThatCannotBeReachedCanBeStopped) {
  world_.set(recover_, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  ASSERT_TRUE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(readyPods(), "");
  EXPECT_EQ(status('c').exit_code(), 137);
  EXPECT_THAT(world_.calls(), Contains(stop_));
  EXPECT_TRUE(engine_->removePodSandbox(id('a'), soon()).ok());
}

TEST_F(ReachTest, OneWhoseRuntimeComesBackWithoutIt) {
  world_.set(recover_, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  ASSERT_TRUE(world_.await(recover_));
  EXPECT_EQ(readyPods(), "a");
  world_.set(
      recover_,
      {.code = BERTH_NOT_FOUND,
       .message = "its monitor has died",
       .containers = {
           {.id = id('c'), .state = BERTH_CONTAINER_EXITED, .exitCode = 5, .startedAt = 1}}});
  ASSERT_TRUE(eventually([&] { return kept('a').state() == records::POD_STOPPED; }));
  EXPECT_EQ(status('c').exit_code(), 5);
  EXPECT_EQ(readyPods(), "");
  EXPECT_EQ(world_.count(stop_), 1u);
}

TEST_F(ReachTest, OneThatIsRemovedMeanwhileIsAskedForNoMore) {
  keep(podRecord('b'));
  const std::string other = strCat("runc pod_recover ", id('b'));
  const Answer notNow{.code = BERTH_UNAVAILABLE, .message = "not now"};
  world_.set(recover_, notNow);
  world_.set(other, notNow);
  start();
  ASSERT_TRUE(world_.await(recover_));
  ASSERT_TRUE(engine_->removePodSandbox(id('a'), soon()).ok());
  const size_t asked = world_.count(recover_);
  const auto again = runPod("pod-a");
  ASSERT_TRUE(again.ok()) << "its name is free: " << again.status();
  // Both are tried after the same pauses.
  ASSERT_TRUE(world_.await(other, world_.count(other) + 2));
  EXPECT_EQ(world_.count(recover_), asked);
  EXPECT_EQ(world_.count(stop_), 1u);
  EXPECT_EQ(*runPod("pod-a"), *again);
}

TEST_F(ReachTest, TheDaemonEndsWhileItAsks) {
  std::promise<void> never;
  world_.set(recover_, {.until = never.get_future().share()});
  start();
  ASSERT_TRUE(world_.await(recover_));
  stop();
  EXPECT_EQ(kept('a').state(), records::POD_READY);
  EXPECT_FALSE(kept('a').lost());
  world_.set(recover_, {.containers = {{.id = id('c'), .startedAt = 1}}});
  start();
  EXPECT_EQ(readyPods(), "a");
  EXPECT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  EXPECT_THAT(world_.calls(), Not(Contains(stop_)));
}

TEST_F(ReachTest, AStopThatWasCutOffKeepsTheExitCodes) {
  keep(podRecord('a', records::POD_STOPPING));
  world_.set(
      recover_,
      {.containers = {
           {.id = id('c'), .state = BERTH_CONTAINER_EXITED, .exitCode = 3, .startedAt = 1}}});
  start();
  ASSERT_TRUE(eventually([&] { return kept('a').state() == records::POD_STOPPED; }));
  EXPECT_EQ(status('c').exit_code(), 3);
}

TEST_F(ReachTest, TheExitsOfAPodThatHasEndedAreKept) {
  keep(containerRecord('d', 'a'));
  world_.set(
      recover_,
      {.code = BERTH_NOT_FOUND,
       .message = "its monitor has died",
       .containers = {
           {.id = id('c'), .state = BERTH_CONTAINER_EXITED, .exitCode = 5, .startedAt = 1}}});
  start();
  ASSERT_TRUE(eventually([&] { return kept('a').state() == records::POD_STOPPED; }));
  EXPECT_EQ(status('c').exit_code(), 5);
  EXPECT_EQ(status('d').exit_code(), 137) << "nobody saw this one's";
  EXPECT_EQ(readyPods(), "");
}

TEST_F(ReachTest, PodsOfARuntimeThatIsOutOfServiceStayAsTheyAre) {
  for (const auto& [pod, state] :
       {std::pair('1', records::POD_READY), std::pair('2', records::POD_CREATING),
        std::pair('3', records::POD_STOPPING)}) {
    records::PodRecord record = podRecord(pod, state);
    record.set_runtime("other");
    keep(record);
  }
  keep(containerRecord('d', '1'));
  keep(containerRecord('e', '1', v1::CONTAINER_CREATED));
  world_.set("other start", {.code = BERTH_FAILED_PRECONDITION, .message = "no program"});
  start({"runc", "other"});
  EXPECT_EQ(readyPods(), "1a");
  EXPECT_EQ(status('d').state(), v1::CONTAINER_RUNNING);
  const auto refused = [](const absl::Status& status) {
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition) << status;
    EXPECT_THAT(status.ToString(), HasSubstr("no program"));
  };
  refused(engine_->stopContainer(id('d'), std::chrono::seconds(0), soon()));
  refused(engine_->stopContainer(id('e'), std::chrono::seconds(0), soon()));
  refused(engine_->stopPodSandbox(id('1'), soon()));
  refused(engine_->removePodSandbox(id('1'), soon()));
  v1::RunPodSandboxRequest request;
  *request.mutable_config() = podConfig("new");
  request.set_runtime_handler("other");
  refused(engine_->runPodSandbox(request, soon()).status());
  EXPECT_TRUE(runPod("new").ok()) << "of the default one";
  v1::ImageSpec image;
  image.set_runtime_handler("other");
  EXPECT_EQ(*engine_->runtimeOf(image, {}), "other") << "its images can be removed";
  stop();
  EXPECT_EQ(kept('1').state(), records::POD_READY);
  EXPECT_EQ(kept('2').state(), records::POD_CREATING);
  EXPECT_EQ(kept('3').state(), records::POD_STOPPING);
  EXPECT_FALSE(kept('1').lost());

  world_.set("other start", {});
  world_.set(strCat("other pod_recover ", id('1')),
             {.containers = {{.id = id('d'), .startedAt = 1}}});
  start({"runc", "other"});
  EXPECT_EQ(status('d').state(), v1::CONTAINER_RUNNING);
  EXPECT_TRUE(engine_->stopPodSandbox(id('1'), soon()).ok());
  EXPECT_TRUE(world_.await(strCat("other pod_stop ", id('2'))));
  EXPECT_TRUE(eventually([&] { return kept('3').state() == records::POD_STOPPED; }));
}

// It was given up, and went on without the daemon. What was told of it stays.
TEST_F(ReachTest, AStartThatHadFailedDoesNotComeTrue) {
  records::ContainerRecord failed = containerRecord('d', 'a', v1::CONTAINER_EXITED);
  failed.set_exit_code(128);
  keep(failed);
  world_.set(recover_,
             {.containers = {{.id = id('c'), .startedAt = 1}, {.id = id('d'), .startedAt = 1}}});
  start();
  EXPECT_TRUE(world_.await(strCat("runc container_kill ", id('d'), " 9")));
  EXPECT_EQ(status('d').state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(status('d').exit_code(), 128);
  EXPECT_EQ(world_.count(strCat("runc container_kill ", id('c'), " 9")), 0u);
}

TEST_F(ReachTest, AStartThatHadFailedEndsWithItsPod) {
  const auto killOf = [](char container) {
    return strCat("runc container_kill ", id(container), " 9");
  };
  keep(podRecord('b'));
  for (const auto& [container, pod] : {std::pair('d', 'a'), std::pair('e', 'b')}) {
    keep(containerRecord(container, pod, v1::CONTAINER_EXITED));
    world_.set(strCat("runc pod_recover ", id(pod)),
               {.containers = {{.id = id(container), .startedAt = 1}}});
    world_.set(strCat("runc container_kill ", id(container)), {.code = BERTH_UNAVAILABLE});
  }
  const Counting tries(strCat("end container ", id('d')));
  start();
  ASSERT_TRUE(world_.await(killOf('d')) && world_.await(killOf('e')));
  ASSERT_TRUE(engine_->stopPodSandbox(id('a'), soon()).ok());
  const int before = tries.count();
  // Both are tried after the same pauses; one try may have been under way.
  ASSERT_TRUE(world_.await(killOf('e'), world_.count(killOf('e')) + 4));
  EXPECT_LE(tries.count(), before + 2);
  stop();
}

TEST_F(ReachTest, AStartThatFailedMeanwhileSaysWhy) {
  keep(containerRecord('d', 'a', v1::CONTAINER_CREATED));
  world_.set(recover_, {.containers = {{.id = id('c'), .startedAt = 1},
                                       {.id = id('d'),
                                        .state = BERTH_CONTAINER_EXITED,
                                        .exitCode = 128,
                                        .message = "no such file: /bin/app"}}});
  start();
  const v1::ContainerStatus failed = status('d');
  EXPECT_EQ(failed.state(), v1::CONTAINER_EXITED);
  EXPECT_EQ(failed.exit_code(), 128);
  EXPECT_EQ(failed.reason(), "StartError");
  EXPECT_EQ(failed.message(), "no such file: /bin/app");
}

TEST_F(ReachTest, ARuntimeThatIsMissingAtOneStartChangesNothing) {
  start({"another"});
  EXPECT_EQ(readyPods(), "a");
  EXPECT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  for (const absl::Status& refused :
       {engine_->stopContainer(id('c'), std::chrono::seconds(0), soon()),
        engine_->removeContainer(id('c'), soon()), engine_->stopPodSandbox(id('a'), soon()),
        engine_->removePodSandbox(id('a'), soon()),
        createContainer(id('a'), containerConfig("new")).status()}) {
    EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
    EXPECT_THAT(refused.ToString(), HasSubstr("\"runc\""));
  }
  EXPECT_EQ(kept('a').state(), records::POD_READY);
  stop();

  world_.set(recover_, {.containers = {{.id = id('c'), .startedAt = 1}}});
  start({"runc", "another"});
  EXPECT_EQ(readyPods(), "a");
  EXPECT_EQ(status('c').state(), v1::CONTAINER_RUNNING);
  EXPECT_THAT(world_.calls(), Not(Contains(stop_)));
  EXPECT_TRUE(createContainer(id('a'), containerConfig("new")).ok());
}

TEST_F(ReachTest, AnotherPluginOfTheSameNameIsNotAskedForIt) {
  records::PodRecord record = podRecord('a');
  record.set_plugin("another");
  keep(record);
  start();
  EXPECT_EQ(readyPods(), "a");
  const absl::Status refused = engine_->stopPodSandbox(id('a'), soon());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr("of the plugin \"another\""));
  const auto run = runPod("new");
  ASSERT_TRUE(run.ok());
  stop();
  EXPECT_THAT(world_.calls(), Not(Contains(recover_)));
  EXPECT_THAT(world_.calls(), Not(Contains(stop_)));
  records::PodRecord made;
  ASSERT_TRUE(made.ParseFromString(store_->get(kPodKind, *run).value()));
  EXPECT_EQ(made.plugin(), "engine-test-runtime");

  record.set_plugin("engine-test-runtime");
  keep(record);
  start();
  EXPECT_TRUE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_THAT(world_.calls(), Contains(stop_));
}

TEST_F(ReachTest, AfterARebootAllHasEnded) {
  records::PodRecord record = podRecord('a');
  record.set_boot_id("another boot");
  keep(record);
  start();
  ASSERT_TRUE(eventually([&] { return kept('a').state() == records::POD_STOPPED; }));
  EXPECT_EQ(status('c').state(), v1::CONTAINER_EXITED);
  EXPECT_THAT(status('c').message(), HasSubstr("restarted"));
  EXPECT_THAT(world_.calls(), Not(Contains(recover_)));
}

TEST_F(ReachTest, AfterARebootNoRuntimeIsMissed) {
  for (const auto state : {records::POD_READY, records::POD_STOPPING, records::POD_CREATING}) {
    records::PodRecord record = podRecord(state == records::POD_CREATING ? 'e' : 'a', state);
    record.set_boot_id("another boot");
    keep(record);
    start({"another"});
    EXPECT_TRUE(engine_->removeContainer(id('c'), soon()).ok());
    ASSERT_TRUE(eventually([&] {
      const auto kept = store_->get(kPodKind, record.id());
      records::PodRecord now;
      return kept.ok() ? now.ParseFromString(*kept) && now.state() == records::POD_STOPPED
                       : state == records::POD_CREATING;
    })) << state;
    EXPECT_TRUE(engine_->removePodSandbox(record.id(), soon()).ok());
    stop();
  }
}

}  // namespace
}  // namespace berth::engine::testing
