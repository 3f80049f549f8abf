// A runtime that was left out of service comes back while the daemon runs.
#include <future>

#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using absl::StatusCode;
using plugins::Kind;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class ComebackTest : public EngineTest {
 protected:
  const Answer noProgram_{.code = BERTH_FAILED_PRECONDITION, .message = "no program"};

  void keepOthers(char pod, records::PodState state = records::POD_READY) {
    records::PodRecord record = podRecord(pod, state);
    record.set_runtime("other");
    keep(record);
  }
  // Its runtime does not start.
  void startWithoutOther() {
    world_.set("other start", noProgram_);
    start({"runc", "other"});
  }
  std::vector<std::string> hurry() { return engine_->recovery().hurryRuntimes(); }
  bool serves() const { return registry_->runtime("other").ok(); }
  std::string why() const {
    const auto failure = registry_->failure(Kind::kRuntime, "other");
    return failure.has_value() ? std::string(failure->status.message()) : std::string();
  }
  void comeBack() {
    world_.set("other start", {});
    EXPECT_THAT(hurry(), ElementsAre("other"));
    ASSERT_TRUE(eventually([this] { return serves(); }));
  }
  // As `berth plugin reload` does.
  absl::StatusOr<plugins::Registry::Replacement> replaceOther() {
    const plugins::Operation op("replace", soon());
    const boost::json::object options{
        {"world", std::to_string(reinterpret_cast<uintptr_t>(&world_))}};
    return registry_->replace(op, {Kind::kRuntime, "other", "runtime", options, {}, {}});
  }
  absl::Status runOther(const std::string& name) {
    v1::RunPodSandboxRequest request;
    *request.mutable_config() = podConfig(name);
    request.set_runtime_handler("other");
    return engine_->runPodSandbox(request, soon()).status();
  }
};

TEST_F(ComebackTest, ItsPodsAreTakenUpAsByAStart) {
  keepOthers('1');
  keepOthers('2', records::POD_CREATING);
  keepOthers('3', records::POD_STOPPING);
  keep(containerRecord('d', '1'));
  keep(containerRecord('e', '1'));
  keep(podRecord('a'));
  startWithoutOther();
  EXPECT_EQ(readyPods(), "1a");
  auto listener = engine_->subscribe([] {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  world_.set(
      strCat("other pod_recover ", id('1')),
      {.containers = {
           {.id = id('d'), .startedAt = 1},
           {.id = id('e'), .state = BERTH_CONTAINER_EXITED, .exitCode = 7, .startedAt = 1}}});
  comeBack();
  EXPECT_TRUE(eventually([&] { return status('e').state() == v1::CONTAINER_EXITED; }));
  EXPECT_EQ(status('e').exit_code(), 7) << "it has ended in the gap";
  EXPECT_EQ(status('d').state(), v1::CONTAINER_RUNNING);
  EXPECT_TRUE(eventually([&] {
    const auto told = (*listener)->next(std::chrono::seconds(1));
    return told.ok() && *told != nullptr && (*told)->container_id() == id('e');
  })) << "clients hear of it";
  EXPECT_TRUE(engine_->removePodSandbox(id('1'), soon()).ok());
  // What the last daemon was about to do is done.
  EXPECT_TRUE(world_.await(strCat("other pod_stop ", id('2'))));
  EXPECT_TRUE(eventually([&] { return kept('3').state() == records::POD_STOPPED; }));
  EXPECT_TRUE(runOther("new").ok());
  EXPECT_THAT(hurry(), IsEmpty());
  EXPECT_EQ(world_.count(strCat("runc pod_recover ", id('a'))), 1u) << "others are none the wiser";
}

TEST_F(ComebackTest, ATryThatFailsLeavesAllAsItIs) {
  keepOthers('1');
  startWithoutOther();
  EXPECT_THAT(why(), HasSubstr("no program"));
  world_.set("other start", {.code = BERTH_FAILED_PRECONDITION, .message = "no memory"});
  EXPECT_THAT(hurry(), ElementsAre("other"));
  EXPECT_TRUE(eventually([this] { return why().find("no memory") != std::string::npos; }));
  const absl::Status refused = engine_->stopPodSandbox(id('1'), soon());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr("no memory"));
  EXPECT_EQ(readyPods(), "1");
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("other pod_recover ", id('1')))));
  comeBack();
  EXPECT_TRUE(world_.await(strCat("other pod_recover ", id('1'))));
}

// Each try loads and starts a plugin, and runs what that runs.
TEST_F(ComebackTest, NobodyTriesItAsSoonAsOtherWork) {
  startWithoutOther();
  std::this_thread::sleep_for(3 * Pauses().first);
  EXPECT_EQ(world_.count("other start"), 1u);
}

TEST_F(ComebackTest, OneThatHangsInItsStartHoldsUpNothing) {
  keepOthers('1');
  startWithoutOther();
  std::promise<void> end;
  world_.set("other start", {.until = end.get_future().share()});
  hurry();
  ASSERT_TRUE(world_.await("other start", 2));
  EXPECT_FALSE(serves());
  EXPECT_TRUE(runPod("of the default one").ok());
  EXPECT_EQ(runOther("new").code(), StatusCode::kFailedPrecondition);
  // Another one waits for it, and says so when its time is over.
  const plugins::Operation op("try", Deadline::clock::now() + std::chrono::milliseconds(50));
  const absl::Status second = registry_->tryAgain(op, Kind::kRuntime, "other");
  EXPECT_EQ(second.code(), StatusCode::kDeadlineExceeded) << second;
  EXPECT_THAT(second.ToString(), HasSubstr("start the new form"));
  EXPECT_EQ(world_.count("other start"), 2u);
  end.set_value();
  EXPECT_TRUE(eventually([this] { return serves(); }));
  EXPECT_TRUE(world_.await(strCat("other pod_recover ", id('1'))));
}

TEST_F(ComebackTest, TheEngineEndsWhileATryHangs) {
  startWithoutOther();
  std::promise<void> end;
  world_.set("other start", {.until = end.get_future().share()});
  hurry();
  ASSERT_TRUE(world_.await("other start", 2));
  engine_->finish();
  end.set_value();
  registry_->stop();
  EXPECT_FALSE(serves()) << "nobody waits for it any more";
}

TEST_F(ComebackTest, ItCanBePutIntoServiceByAnotherConfiguration) {
  keepOthers('1');
  startWithoutOther();
  world_.set("other start", {});
  const auto replaced = replaceOther();
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(replaced->before, nullptr);
  EXPECT_NE(replaced->after, nullptr);
  const absl::Status early = engine_->stopPodSandbox(id('1'), soon());
  EXPECT_EQ(early.code(), StatusCode::kUnavailable) << early;
  engine_->recovery().takeUp("other");
  engine_->recovery().takeUp("other");
  EXPECT_TRUE(eventually([&] { return engine_->stopPodSandbox(id('1'), soon()).ok(); }));
  EXPECT_EQ(world_.count(strCat("other pod_recover ", id('1'))), 1u);
  EXPECT_THAT(hurry(), IsEmpty());
  const plugins::Operation op("try", soon());
  EXPECT_TRUE(absl::IsAlreadyExists(registry_->tryAgain(op, Kind::kRuntime, "other")));
}

// That one may have got no further.
TEST_F(ComebackTest, ItsPodsAreTakenUpWhoeverHasPutItIntoService) {
  keepOthers('1');
  startWithoutOther();
  std::promise<void> go;
  world_.set("other start", {.until = go.get_future().share()});
  auto replaced = std::async(std::launch::async, [this] { return replaceOther().status(); });
  ASSERT_TRUE(world_.await("other start", 2));
  EXPECT_THAT(hurry(), ElementsAre("other"));
  go.set_value();
  EXPECT_TRUE(replaced.get().ok());
  EXPECT_TRUE(world_.await(strCat("other pod_recover ", id('1'))));
  EXPECT_EQ(world_.count("other start"), 2u) << "it serves already";
}

TEST_F(ComebackTest, WhatHasBeenTakenUpIsNoneTheWiser) {
  const std::string recover = strCat("other pod_recover ", id('1'));
  keepOthers('1');
  startWithoutOther();
  comeBack();
  ASSERT_TRUE(eventually([&] { return createContainer(id('1'), containerConfig("c")).ok(); }));
  std::promise<void> never;
  world_.set(recover, {.until = never.get_future().share()});
  engine_->recovery().takeUp("other");
  const auto container = createContainer(id('1'), containerConfig("d"));
  EXPECT_TRUE(container.ok()) << container.status();
  EXPECT_EQ(world_.count(recover), 1u);
}

TEST_F(ComebackTest, PodsOfAnotherPluginAreNotItsOwn) {
  records::PodRecord record = podRecord('1');
  record.set_runtime("other");
  record.set_plugin("another");
  keep(record);
  startWithoutOther();
  comeBack();
  const absl::Status refused = engine_->stopPodSandbox(id('1'), soon());
  EXPECT_EQ(refused.code(), StatusCode::kFailedPrecondition) << refused;
  EXPECT_THAT(refused.ToString(), HasSubstr("of the plugin \"another\""));
  EXPECT_THAT(world_.calls(), Not(Contains(strCat("other pod_recover ", id('1')))));
}

TEST_F(ComebackTest, APodWithoutARecordMayBeOneOfItsOwnUntilThen) {
  makeDirectory(strCat("state/pods/", id('b'), "/runtime"));
  startWithoutOther();
  const std::string stop = strCat("runc pod_stop ", id('b'));
  ASSERT_TRUE(world_.await(stop, 2)) << "it is tried again";
  std::vector<std::string> calls = world_.calls();
  std::erase_if(calls, [](const auto& call) { return call.find(id('b')) == std::string::npos; });
  EXPECT_THAT(calls, Each(stop));
  comeBack();
  EXPECT_TRUE(world_.await(strCat("other pod_stop ", id('b'))));
  EXPECT_TRUE(world_.await(strCat("other pod_remove ", id('b'))));
}

}  // namespace
}  // namespace berth::engine::testing
