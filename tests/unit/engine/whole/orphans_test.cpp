// What has lost its record.
#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

class OrphansTest : public EngineTest {
 protected:
  const std::string stop_ = strCat("runc pod_stop ", id('b'));

  void SetUp() override {
    keep(podRecord('a'));
    keep(podRecord('b'));
    ASSERT_TRUE(store_->put(kPodKind, id('b'), "no record").ok());
  }
  // Those about the pod that has no record, and about all attachments.
  std::vector<std::string> callsAboutIt() const {
    std::vector<std::string> calls = world_.calls();
    std::erase_if(calls, [](const std::string& call) {
      return call.find(id('b')) == std::string::npos && !call.starts_with("net gc");
    });
    return calls;
  }
};

TEST_F(OrphansTest, APodIsEndedBeforeTheNetworkCollectsItsAddress) {
  start();
  ASSERT_TRUE(world_.await("net gc"));
  EXPECT_THAT(callsAboutIt(), ElementsAre(stop_, strCat("net detach ", id('b')),
                                          strCat("runc pod_remove ", id('b')), "net gc"));
  EXPECT_EQ(readyPods(), "a");
  EXPECT_FALSE(support::pathExists(directory_ / strCat("state/pods/", id('b'))));
  EXPECT_TRUE(support::pathExists(directory_ / strCat("state/pods/", id('a'))));
}

TEST_F(OrphansTest, WhatCannotBeEndedKeepsItsAddress) {
  world_.set(stop_, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  ASSERT_TRUE(world_.await(stop_, 2)) << "it is tried again";
  EXPECT_THAT(callsAboutIt(), Not(Contains(strCat("net detach ", id('b')))));
  EXPECT_THAT(callsAboutIt(), Not(Contains("net gc")));
  EXPECT_EQ(readyPods(), "a");

  world_.set(stop_, {});
  EXPECT_TRUE(world_.await(strCat("runc pod_remove ", id('b'))));
  EXPECT_TRUE(eventually(
      [&] { return !support::pathExists(directory_ / strCat("state/pods/", id('b'))); }));
  EXPECT_TRUE(world_.await("net gc"));
}

TEST_F(OrphansTest, APodOfARuntimeThatIsOutOfServiceKeepsWhatItMayUse) {
  world_.set("other start", {.code = BERTH_FAILED_PRECONDITION, .message = "no program"});
  start({"runc", "other"});
  ASSERT_TRUE(world_.await(stop_, 2)) << "it is tried again";
  EXPECT_THAT(callsAboutIt(), Each(stop_));
  EXPECT_EQ(readyPods(), "a");
  EXPECT_TRUE(support::pathExists(directory_ / strCat("state/pods/", id('b'))));

  stop();
  world_.set("other start", {});
  start({"runc", "other"});
  EXPECT_TRUE(world_.await(strCat("other pod_remove ", id('b'))));
  EXPECT_TRUE(eventually(
      [&] { return !support::pathExists(directory_ / strCat("state/pods/", id('b'))); }));
}

TEST_F(OrphansTest, SoDoesOneBesideAPodWhoseRuntimeTheConfigurationNoLongerHas) {
  records::PodRecord record = podRecord('c');
  record.set_runtime("gone");
  keep(record);
  start();
  ASSERT_TRUE(world_.await(stop_, 2)) << "it is tried again";
  EXPECT_THAT(callsAboutIt(), Each(stop_));
  EXPECT_TRUE(support::pathExists(directory_ / strCat("state/pods/", id('b'))));
}

TEST_F(OrphansTest, AContainerInAPodWithARecordIsRemovedFromIt) {
  makeDirectory(strCat("state/containers/", id('c'), "/rootfs"));
  makeDirectory(strCat("state/containers/", id('c'), "/images/", id('c'), "-image-0"));
  makeDirectory(strCat("root/volumes/", id('c'), "/0"));
  world_.setSnapshots({id('c'), strCat(id('c'), "-image-0"), id('d')});
  keep(containerRecord('d', 'a'));
  start();
  ASSERT_TRUE(eventually([&] {
    return !support::pathExists(directory_ / strCat("state/containers/", id('c'))) &&
           !support::pathExists(directory_ / strCat("root/volumes/", id('c')));
  }));
  const std::vector<std::string> calls = world_.calls();
  const auto at = [&](const std::string& call) {
    return std::find(calls.begin(), calls.end(), call);
  };
  const auto removed = at(strCat("runc container_remove ", id('c')));
  const auto unmounted = at(strCat("snap unmount ", id('c')));
  const auto freed = at(strCat("snap remove ", id('c')));
  ASSERT_NE(freed, calls.end());
  EXPECT_LT(removed, unmounted) << "a root filesystem that is in use";
  EXPECT_LT(unmounted, freed);
  EXPECT_THAT(calls, Contains(strCat("snap remove ", id('c'), "-image-0")));
  EXPECT_THAT(calls, Not(Contains(strCat("snap remove ", id('d')))));
  EXPECT_THAT(calls, Not(Contains(strCat("runc container_remove ", id('d')))));
}

TEST_F(OrphansTest, AContainerWaitsUntilItsPodIsKnown) {
  makeDirectory(strCat("state/containers/", id('c'), "/rootfs"));
  world_.setSnapshots({id('c')});
  const std::string recover = strCat("runc pod_recover ", id('a'));
  world_.set(recover, {.code = BERTH_UNAVAILABLE, .message = "not now"});
  start();
  ASSERT_TRUE(world_.await(recover, 2));
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("snap unmount ", id('c')))))
      << "it may run in the pod that is not reached yet";
  world_.set(recover, {});
  EXPECT_TRUE(world_.await(strCat("snap remove ", id('c'))));
}

TEST_F(OrphansTest, WhatOutlastedAReboot) {
  keep(containerRecord('d', 'a'));
  for (const char container : std::string("cd"))
    makeDirectory(strCat("root/volumes/", id(container), "/0"));
  world_.setSnapshots({id('c'), id('d'), "import-something"});
  start();
  ASSERT_TRUE(world_.await(strCat("snap remove ", id('c'))));
  EXPECT_TRUE(eventually(
      [&] { return !support::pathExists(directory_ / strCat("root/volumes/", id('c'))); }));
  stop();
  EXPECT_TRUE(support::pathExists(directory_ / strCat("root/volumes/", id('d'))));
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("snap remove ", id('d')))));
  EXPECT_THAT(world_.calls(), Not(Contains("snap remove import-something")));
}

TEST_F(OrphansTest, ASnapshotterThatDoesNotAnswerHoldsUpNoOther) {
  snapshotters_ = {"snap", "hung"};
  std::promise<void> never;
  world_.set("hung list", {.until = never.get_future().share()});
  world_.setSnapshots({id('c')});
  start();
  ASSERT_TRUE(world_.await("hung list"));
  EXPECT_TRUE(world_.await(strCat("snap remove ", id('c'))));
}

TEST_F(OrphansTest, TheDatabaseWasLost) {
  ASSERT_TRUE(store_->erase(kPodKind, id('a')).ok());
  ASSERT_TRUE(store_->erase(kPodKind, id('b')).ok());
  start();
  EXPECT_THAT(engine_->listPodSandboxes({}), IsEmpty());
  EXPECT_EQ(world_.count(strCat("runc pod_stop ", id('a'))), 1u);
  EXPECT_EQ(world_.count(stop_), 1u);
  EXPECT_TRUE(world_.await("net gc"));
}

}  // namespace
}  // namespace berth::engine::testing
