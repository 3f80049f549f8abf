// Containers: failing to start, ending in every way, resources.
#include <signal.h>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "fixture.hpp"

namespace berth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::PrintToString;

class Containers : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    pod_ = newPod();
    const Result created = create(pod_);
    ASSERT_TRUE(created.ok()) << PrintToString(created);
  }
  void TearDown() override {
    if (!pod_.id.empty() && !HasFailure()) {
      const Result removed = plugin().podRemove(pod_.id);
      EXPECT_TRUE(removed.ok()) << PrintToString(removed);
    }
    RuntimeTest::TearDown();
  }
  Pod pod_;
};

TEST_F(Containers, AMissingProgramIsNamed) {
  const Container container = newContainer(pod_, {"/no/such/program"});
  ASSERT_TRUE(create(pod_, container).ok());
  const Result started = plugin().containerStart(pod_.id, container.id);
  EXPECT_FALSE(started.ok());
  EXPECT_THAT(started.message, HasSubstr("/no/such/program"));
  Status status;
  EXPECT_TRUE(plugin().containerWait(pod_.id, container.id, &status).ok());
  EXPECT_EQ(status.state, BERTH_CONTAINER_EXITED);
  EXPECT_EQ(status.exitCode, 128);
  EXPECT_FALSE(plugin().containerStart(pod_.id, container.id).ok());
  EXPECT_TRUE(plugin().containerRemove(pod_.id, container.id).ok());
  EXPECT_FALSE(support::pathExists(container.directory + "/config.json"));
}

TEST_F(Containers, ABadSpecIsRefusedAndLeavesNothing) {
  Container container = newContainer(pod_, {"true"});
  ASSERT_TRUE(support::makeDirectories(container.directory).ok());
  berth_container_spec spec{};
  spec.size = sizeof spec;
  spec.pod = str(pod_.id);
  spec.id = str(container.id);
  spec.directory = str(container.directory);
  spec.spec = str("{\"process\": ");
  EXPECT_EQ(plugin().containerCreate(spec).code, BERTH_INVALID_ARGUMENT);
  spec.spec = str(R"({"process": {"terminal": true}})");
  EXPECT_EQ(plugin().containerCreate(spec).code, BERTH_INVALID_ARGUMENT);
  EXPECT_FALSE(support::pathExists(container.directory + "/config.json"));
  EXPECT_TRUE(support::listDirectory(pod_.directory + "/containers")->empty());
  spec.pod = str("unknown");
  EXPECT_EQ(plugin().containerCreate(spec).code, BERTH_NOT_FOUND);
}

TEST_F(Containers, CreationAndStartMayBeRepeated) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  ASSERT_TRUE(create(pod_, container).ok());
  ASSERT_TRUE(create(pod_, container).ok());
  Status first;
  Status second;
  ASSERT_TRUE(plugin().containerStart(pod_.id, container.id, &first).ok());
  ASSERT_TRUE(plugin().containerStart(pod_.id, container.id, &second).ok());
  EXPECT_EQ(first.pid, second.pid);
  EXPECT_EQ(first.state, BERTH_CONTAINER_RUNNING);
  EXPECT_EQ(create(pod_, container).code, BERTH_ALREADY_EXISTS);
}

TEST_F(Containers, SignalsReachTheFirstProcess) {
  const Container container = newContainer(
      pod_, {"sh", "-c", "trap 'exit 42' TERM; echo ready; while :; do sleep 1; done"});
  run(pod_, container);
  ASSERT_TRUE(logHas(container, "ready"));
  ASSERT_TRUE(plugin().containerKill(pod_.id, container.id, SIGTERM).ok());
  EXPECT_EQ(waitFor(pod_, container).exitCode, 42);
  EXPECT_TRUE(plugin().containerKill(pod_.id, container.id, SIGTERM).ok());
  // Told on another thread than that of who waits for the end.
  EXPECT_TRUE(plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id));
  EXPECT_EQ(plugin().events().count(BERTH_EVENT_CONTAINER_EXITED, container.id), 1);
}

TEST_F(Containers, WaitingEndsAtTheDeadlineAndOnCancellation) {
  const Container container = newContainer(pod_, {"sleep", "1000"});
  run(pod_, container);
  Status status;
  EXPECT_EQ(
      plugin()
          .containerWait(pod_.id, container.id, &status, TestOp(std::chrono::milliseconds(20)))
          .code,
      BERTH_DEADLINE_EXCEEDED);
  TestOp op;
  op.cancel();
  EXPECT_EQ(plugin().containerWait(pod_.id, container.id, &status, op).code, BERTH_CANCELLED);
}

TEST_F(Containers, RunningOutOfMemoryIsTold) {
  Container container = newContainer(pod_, {"tail", "/dev/zero"});
  container.resources = R"({"memory": {"limit": 16777216, "swap": 16777216}})";
  run(pod_, container);
  const Status ended = waitFor(pod_, container);
  EXPECT_EQ(ended.exitCode, 128 + SIGKILL);
  EXPECT_EQ(ended.flags, uint32_t{BERTH_EVENT_OOM_KILLED});
  EXPECT_TRUE(plugin().events().await(BERTH_EVENT_CONTAINER_OOM, container.id).has_value());
  const auto event = plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->flags, uint32_t{BERTH_EVENT_OOM_KILLED});
}

TEST_F(Containers, ResourcesChangeBeforeAndAfterTheStart) {
  Container container = newContainer(pod_, {"sleep", "1000"});
  container.resources = R"({"memory": {"limit": 33554432}, "pids": {"limit": 50}})";
  ASSERT_TRUE(create(pod_, container).ok());
  const auto limitBy = [&](const std::string& resources) {
    const Result updated = plugin().containerUpdate(pod_.id, container.id, resources);
    EXPECT_TRUE(updated.ok()) << PrintToString(updated);
  };
  limitBy(R"({"memory": {"limit": 67108864}})");
  ASSERT_TRUE(plugin().containerStart(pod_.id, container.id).ok());
  const auto before = plugin().containerStats(pod_.id, {container.id});
  ASSERT_TRUE(before.contains(container.id));
  EXPECT_EQ(before.at(container.id).values.memory_limit, 67108864u);
  EXPECT_EQ(before.at(container.id).values.threads_limit, 50u);
  limitBy(R"({"memory": {"limit": 134217728}})");
  const auto after = plugin().containerStats(pod_.id, {container.id});
  EXPECT_EQ(after.at(container.id).values.memory_limit, 134217728u);
  EXPECT_EQ(after.at(container.id).values.threads_limit, 50u);
  EXPECT_EQ(plugin().containerUpdate(pod_.id, container.id, "[").code, BERTH_INVALID_ARGUMENT);
}

TEST_F(Containers, PausedOnesStandStillAndCanBeKilled) {
  const auto* extension = plugin().extension<berth_runtime_pause>(BERTH_EXTENSION_PAUSE);
  ASSERT_NE(extension, nullptr);
  const Container container = newContainer(pod_, {"sleep", "1000"});
  run(pod_, container);
  const TestOp op;
  const auto call = [&](auto function) {
    const Result result = plugin().call([&](const berth_runtime&, void* self, berth_error* error) {
      return function(self, op.get(), str(pod_.id), str(container.id), error);
    });
    EXPECT_TRUE(result.ok()) << PrintToString(result);
  };
  const auto frozen = [&] {
    for (const std::string& file :
         {"/sys/fs/cgroup/freezer" + cgroupOf(pod_, container) + "/freezer.self_freezing",
          "/sys/fs/cgroup" + cgroupOf(pod_, container) + "/cgroup.freeze"}) {
      if (const auto text = support::readFile(file); text.ok()) return *text == "1\n";
    }
    return false;
  };
  EXPECT_FALSE(frozen());
  call(extension->pause);
  call(extension->pause);
  EXPECT_TRUE(frozen());
  call(extension->resume);
  call(extension->resume);
  EXPECT_FALSE(frozen());
  call(extension->pause);
  ASSERT_TRUE(plugin().containerKill(pod_.id, container.id, SIGKILL).ok());
  EXPECT_EQ(waitFor(pod_, container).exitCode, 128 + SIGKILL);
}

TEST_F(Containers, LogsGoOnInANewFile) {
  const Container container =
      newContainer(pod_, {"sh", "-c",
                          "trap 'echo second' USR1; trap 'exit 0' TERM; echo first; "
                          "while :; do sleep 1000 & wait $!; done"});
  run(pod_, container);
  ASSERT_TRUE(logHas(container, "first"));
  const std::string rotated = container.logPath + ".1";
  ASSERT_EQ(::rename(container.logPath.c_str(), rotated.c_str()), 0);
  const TestOp op;
  const Result reopened =
      plugin().call([&](const berth_runtime& runtime, void* self, berth_error* error) {
        return runtime.container_reopen_log(self, op.get(), str(pod_.id), str(container.id), error);
      });
  ASSERT_TRUE(reopened.ok()) << PrintToString(reopened);
  ASSERT_TRUE(plugin().containerKill(pod_.id, container.id, SIGUSR1).ok());
  EXPECT_TRUE(logHas(container, "second"));
  EXPECT_THAT(*support::readFile(rotated), HasSubstr("first"));
  EXPECT_THAT(*support::readFile(rotated), ::testing::Not(HasSubstr("second")));
}

}  // namespace
}  // namespace berth::test
