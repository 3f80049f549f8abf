// Names, and what is undone.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using absl::StatusCode;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using NamesTest = EngineTest;

TEST_F(NamesTest, AHalfMadePodTakesNoName) {
  keep(podRecord('1'));
  records::PodRecord half = podRecord('2', records::POD_CREATING);
  *half.mutable_config() = podConfig("pod-1");
  keep(half);
  start();
  EXPECT_EQ(*runPod("pod-1"), id('1')) << "a repeated request finds the finished pod";
  EXPECT_TRUE(world_.await(strCat("runc pod_remove ", id('2'))));
  ASSERT_TRUE(
      eventually([&] { return absl::IsNotFound(engine_->podSandboxStatus(id('2')).status()); }));
  EXPECT_EQ(*runPod("pod-1"), id('1')) << "nor does its undo";
}

TEST_F(NamesTest, WhoeverMadeContainersInAPodHadItsAnswer) {
  keep(podRecord('1'));
  start();
  EXPECT_EQ(*runPod("pod-1"), id('1'));
  const auto container = createContainer(id('1'), containerConfig("c"));
  ASSERT_TRUE(container.ok()) << container.status();
  const absl::Status again = runPod("pod-1").status();
  EXPECT_EQ(again.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(again.message(), HasSubstr("exists and has containers"));

  EXPECT_EQ(*createContainer(id('1'), containerConfig("c")), *container);
  ASSERT_TRUE(engine_->startContainer(*container, soon()).ok());
  const absl::Status started = createContainer(id('1'), containerConfig("c")).status();
  EXPECT_EQ(started.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(started.message(), HasSubstr(*container));

  EXPECT_TRUE(engine_->removeContainer(*container, soon()).ok());
  EXPECT_EQ(*runPod("pod-1"), id('1'));
}

TEST_F(NamesTest, AHalfMadeContainerTakesNoName) {
  keep(podRecord('a'));
  keep(containerRecord('c', 'a', v1::CONTAINER_CREATED));
  records::ContainerRecord half = containerRecord('d', 'a', v1::CONTAINER_CREATED);
  half.mutable_config()->mutable_metadata()->set_name("c-c");
  half.set_creating(true);
  keep(half);
  start();
  EXPECT_EQ(*createContainer(id('a'), containerConfig("c-c")), id('c'));
  ASSERT_TRUE(
      eventually([&] { return absl::IsNotFound(engine_->containerStatus(id('d')).status()); }));
  EXPECT_EQ(*createContainer(id('a'), containerConfig("c-c")), id('c'));
}

TEST_F(NamesTest, ManyThatAreUndoneAtOnce) {
  for (const char pod : std::string("123456789abcdef")) keep(podRecord(pod, records::POD_CREATING));
  start();
  ASSERT_TRUE(eventually([&] { return store_->list(kPodKind)->empty(); }));
  EXPECT_THAT(engine_->listPodSandboxes({}), IsEmpty());
}

TEST_F(NamesTest, AFailedUndoIsNotTakenForASuccess) {
  keep(podRecord('a'));
  start();
  world_.set("snap remove", {.code = BERTH_UNAVAILABLE, .message = "the disk is full"});
  v1::ContainerConfig refused = containerConfig("c");
  refused.mutable_linux()->mutable_security_context()->set_run_as_username("nobody-there");
  ASSERT_FALSE(createContainer(id('a'), refused).ok());
  ASSERT_THAT(*store_->list(kContainerKind), SizeIs(1)) << "its undo has failed";
  const std::string left = store_->list(kContainerKind)->front().id;

  const auto again = createContainer(id('a'), containerConfig("c"));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_NE(*again, left);
  EXPECT_THAT(engine_->listContainers({}), SizeIs(1));
  EXPECT_TRUE(engine_->startContainer(*again, soon()).ok());

  world_.set("snap remove", {});
  EXPECT_TRUE(eventually([&] {
    return absl::IsNotFound(store_->get(kContainerKind, left).status());
  })) << "the undo is tried again";
  EXPECT_THAT(createContainer(id('a'), containerConfig("c")).status().message(), HasSubstr(*again))
      << "the name is still its own";
}

TEST_F(NamesTest, WhatIsNoLongerConfiguredIsNotGone) {
  records::PodRecord pod = podRecord('a');
  pod.mutable_network()->set_wanted(true);
  pod.mutable_network()->set_network("old");
  keep(pod);
  records::ContainerRecord container = containerRecord('c', 'a', v1::CONTAINER_EXITED);
  container.set_snapshotter("old");
  keep(container);
  start();
  EXPECT_EQ(engine_->removeContainer(id('c'), soon()).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(engine_->stopPodSandbox(id('a'), soon()).code(), StatusCode::kFailedPrecondition);
  stop();

  networks_.push_back("old");
  snapshotters_.push_back("old");
  start();
  EXPECT_TRUE(world_.await(strCat("old detach ", id('a'))));
  EXPECT_TRUE(engine_->removePodSandbox(id('a'), soon()).ok());
  EXPECT_TRUE(world_.await(strCat("old remove ", id('c'))));
}

TEST_F(NamesTest, EachPluginKeepsItsOwnState) {
  records::PodRecord pod = podRecord('a');
  pod.set_runtime_state("runtime's");
  pod.mutable_network()->set_wanted(true);
  pod.mutable_network()->set_network("net");
  keep(pod);
  networks_.push_back("other");
  start({"runc", "other"});
  // As a network does that learns something while it works.
  world_.set(strCat("net detach ", id('a')), {.code = BERTH_UNAVAILABLE, .save = "network's"});
  EXPECT_FALSE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(kept('a').runtime_state(), "runtime's");
  EXPECT_EQ(kept('a').network().state(), "network's");
  world_.set(strCat("runc pod_stop ", id('a')), {.code = BERTH_UNAVAILABLE, .save = "new"});
  EXPECT_FALSE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(kept('a').runtime_state(), "new");
  EXPECT_EQ(kept('a').network().state(), "network's");

  for (const auto& [kind, instance, object] :
       std::vector<std::array<std::string, 3>>{{"runtime", "other", id('a')},
                                               {"network", "other", id('a')},
                                               {"snapshotter", "runc", id('a')},
                                               {"runtime", "runc", "a"},
                                               {"runtime", "runc", ""}}) {
    EXPECT_EQ(engine_->savePluginState(kind, instance, object, "stranger's").code(),
              StatusCode::kNotFound)
        << kind << " " << instance << " " << object;
  }
}

TEST_F(NamesTest, AStopBeforeTheStartDoesNotCountAfterIt) {
  keep(podRecord('a'));
  start();
  const std::string container = *createContainer(id('a'), containerConfig("c"));
  ASSERT_TRUE(engine_->stopContainer(container, std::chrono::seconds(0), soon()).ok());
  ASSERT_TRUE(engine_->startContainer(container, soon()).ok());
  world_.set(strCat("runc container_kill ", container), {.exit = 0});
  ASSERT_TRUE(engine_->stopContainer(container, std::chrono::seconds(20), soon()).ok());
  EXPECT_THAT(world_.calls(), Contains(strCat("runc container_kill ", container, " 15")));
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("runc container_kill ", container, " 9"))));
}

TEST_F(NamesTest, APodThatIsNotWholeIsNotSeen) {
  records::PodRecord pod = podRecord('a');
  pod.set_restoring(true);
  keep(pod);
  keep(containerRecord('c', 'a', v1::CONTAINER_CREATED));
  const std::string stop = strCat("runc pod_stop ", id('a'));
  world_.set(stop, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  ASSERT_TRUE(world_.await(stop, 2)) << "it is undone";
  EXPECT_THAT(engine_->listPodSandboxes({}), IsEmpty());
  EXPECT_THAT(engine_->listContainers({}), IsEmpty());
  plugins::Operation op("stats", soon());
  EXPECT_THAT(engine_->listContainerStats({}, op), IsEmpty());
  EXPECT_THAT(engine_->listPodSandboxStats({}, op), IsEmpty());
  world_.set(stop, {});
  EXPECT_TRUE(eventually([&] { return store_->list(kPodKind)->empty(); }));
}

TEST_F(NamesTest, AnUndoThatWasCutOffAfterItsStopGoesOn) {
  records::PodRecord pod = podRecord('a', records::POD_STOPPED);
  pod.set_restoring(true);
  keep(pod);
  start();
  EXPECT_TRUE(eventually([&] { return store_->list(kPodKind)->empty(); }));
}

}  // namespace
}  // namespace berth::engine::testing
