// What a stop of a pod waits for, and what it leaves.
#include <sqlite3.h>

#include "fixture.hpp"

namespace berth::engine::testing {
namespace {

using ::testing::IsEmpty;

class PodStopTest : public EngineTest {
 protected:
  // On the database, beside the engine.
  void execute(const std::string& sql) {
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ / "berth.db").c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(other);
    sqlite3_close(other);
  }
};

TEST_F(PodStopTest, AStopDoesNotWaitForTheImageOfAContainerThatIsBeingCreated) {
  keep(podRecord('a'));
  start();
  std::promise<void> unpacked;
  images_.hold(unpacked.get_future().share());
  auto create = std::async(std::launch::async,
                           [&] { return createContainer(id('a'), containerConfig("new")); });
  ASSERT_TRUE(eventually([] {
    const auto running = plugins::runningOperations();
    return std::any_of(running.begin(), running.end(), [](const auto& one) {
      return one.name.starts_with("CreateContainer") && one.stage == "prepare the root filesystem";
    });
  }));
  const absl::Status stopped = engine_->stopPodSandbox(id('a'), Deadline::max());
  EXPECT_TRUE(stopped.ok()) << stopped;
  EXPECT_EQ(create.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(engine_->listContainers({}), IsEmpty());
}

TEST_F(PodStopTest, AnExitThatCouldNotBeKeptIsKeptBeforeItsPodHasStopped) {
  keep(podRecord('a'));
  keep(containerRecord('c', 'a'));
  world_.set(strCat("runc pod_recover ", id('a')),
             {.containers = {{.id = id('c'), .startedAt = 1}}});
  start();
  execute(strCat("CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.id = '", id('c'),
                 "' BEGIN SELECT RAISE(ABORT, 'refused'); END"));
  plugins::Event event;
  event.kind = BERTH_EVENT_CONTAINER_EXITED;
  event.container = id('c');
  event.exitCode = 5;
  engine_->deliver(std::move(event));
  ASSERT_TRUE(eventually([&] { return status('c').state() == v1::CONTAINER_EXITED; }));
  EXPECT_FALSE(engine_->stopPodSandbox(id('a'), soon()).ok());
  EXPECT_EQ(kept('a').state(), records::POD_STOPPING);
  EXPECT_EQ(world_.count(strCat("runc pod_remove ", id('a'))), 0u) << "it knows the exit";

  execute("DROP TRIGGER refuse");
  EXPECT_TRUE(engine_->stopPodSandbox(id('a'), soon()).ok());
  stop();
  start();
  EXPECT_EQ(kept('a').state(), records::POD_STOPPED);
  EXPECT_EQ(status('c').exit_code(), 5);
}

// An older daemon died before the exit was kept; nobody will tell of it any more.
TEST_F(PodStopTest, NothingRunsInAPodThatHadStopped) {
  for (const std::string& boot : {podRecord('a').boot_id(), std::string("another boot")}) {
    records::PodRecord pod = podRecord('a', records::POD_STOPPED);
    pod.set_boot_id(boot);
    keep(pod);
    keep(containerRecord('c', 'a'));
    start();
    EXPECT_EQ(status('c').state(), v1::CONTAINER_EXITED) << boot;
    EXPECT_EQ(status('c').exit_code(), 137);
    const absl::Status stopped = engine_->stopContainer(id('c'), std::chrono::seconds(0), soon());
    EXPECT_TRUE(stopped.ok()) << stopped;
    EXPECT_TRUE(engine_->removeContainer(id('c'), soon()).ok());
    EXPECT_TRUE(engine_->removePodSandbox(id('a'), soon()).ok());
    stop();
  }
}

// Who waited for a removal by another call finds it done.
TEST_F(PodStopTest, ARemovalIsToldOnce) {
  keep(podRecord('a', records::POD_STOPPED));
  keep(containerRecord('c', 'a', v1::CONTAINER_EXITED));
  start();
  auto listener = engine_->subscribe([] {});
  ASSERT_TRUE(listener.ok()) << listener.status();
  std::promise<void> removed;
  world_.set("snap remove", {.until = removed.get_future().share()});
  auto one = std::async(std::launch::async,
                        [&] { return engine_->removeContainer(id('c'), Deadline::max()); });
  ASSERT_TRUE(world_.await("snap remove"));
  auto all = std::async(std::launch::async,
                        [&] { return engine_->removePodSandbox(id('a'), Deadline::max()); });
  ASSERT_TRUE(eventually([] {
    const auto running = plugins::runningOperations();
    return std::any_of(running.begin(), running.end(),
                       [](const auto& each) { return each.name.starts_with("RemovePodSandbox"); });
  }));
  removed.set_value();
  EXPECT_TRUE(one.get().ok());
  EXPECT_TRUE(all.get().ok());
  std::vector<std::string> deleted;
  for (;;) {
    const auto event = (*listener)->next(std::chrono::milliseconds(0));
    if (!event.ok() || *event == nullptr) break;
    if ((*event)->container_event_type() == v1::CONTAINER_DELETED_EVENT)
      deleted.push_back((*event)->container_id());
  }
  EXPECT_THAT(deleted, ::testing::ElementsAre(id('c'), id('a')));
}

}  // namespace
}  // namespace berth::engine::testing
