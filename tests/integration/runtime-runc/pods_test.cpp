// Pods from creation to removal.
#include <signal.h>
#include <thread>

#include <gmock/gmock.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/process.hpp"
#include "fixture.hpp"
#include "test_paths.hpp"

namespace berth::test {
namespace {

using ::testing::HasSubstr;
using ::testing::PrintToString;

// A whole life with each of the runtimes that the distribution has.
class RuntimeLife : public RuntimeTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    if (!support::pathExists(GetParam())) GTEST_SKIP() << GetParam() << " is not installed";
    const bool unified = support::pathExists("/sys/fs/cgroup/cgroup.controllers");
    if (GetParam() == std::string_view("/usr/bin/crun") && !unified) {
      GTEST_SKIP() << "this crun needs a host on cgroup v2 alone";
    }
    setRuntime(GetParam());
    RuntimeTest::SetUp();
  }
};

TEST_P(RuntimeLife, PodRunsAContainerToItsEnd) {
  Pod pod = newPod();
  const Result created = create(pod);
  ASSERT_TRUE(created.ok()) << PrintToString(created);
  EXPECT_FALSE(pod.state.empty());
  for (const uint32_t bit : {BERTH_NAMESPACE_NETWORK, BERTH_NAMESPACE_IPC, BERTH_NAMESPACE_UTS}) {
    ASSERT_TRUE(pod.paths.contains(bit)) << bit;
    EXPECT_TRUE(support::pathExists(pod.paths[bit])) << pod.paths[bit];
  }
  const Container container = newContainer(pod, {"sh", "-c", "hostname; echo wrong >&2; exit 3"});
  const Status running = run(pod, container);
  EXPECT_GT(running.startedAt, 0);
  const Status ended = waitFor(pod, container);
  EXPECT_EQ(ended.state, BERTH_CONTAINER_EXITED);
  EXPECT_EQ(ended.exitCode, 3);
  EXPECT_EQ(ended.flags, 0u);
  EXPECT_GE(ended.finishedAt, running.startedAt);
  const auto event = plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id);
  ASSERT_TRUE(event.has_value());
  EXPECT_EQ(event->pod, pod.id);
  EXPECT_EQ(event->exitCode, 3);
  EXPECT_EQ(event->timestamp, ended.finishedAt);
  EXPECT_THAT(logOf(container), HasSubstr(" stdout F host-of-pod\n"));
  EXPECT_THAT(logOf(container), HasSubstr(" stderr F wrong\n"));
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Result removed = plugin().containerRemove(pod.id, container.id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
    EXPECT_TRUE(plugin().podStop(pod.id).ok());
  }
  for (int repeat = 0; repeat < 2; ++repeat) {
    const Result removed = plugin().podRemove(pod.id);
    EXPECT_TRUE(removed.ok()) << PrintToString(removed);
  }
}

INSTANTIATE_TEST_SUITE_P(Runtimes, RuntimeLife,
                         ::testing::Values("/usr/sbin/runc", "/usr/bin/crun"),
                         [](const auto& tested) {
                           const std::string path = tested.param;
                           return path.substr(path.rfind('/') + 1);
                         });

class Pods : public RuntimeTest {};

TEST_F(Pods, FeaturesNameTheBinary) {
  const auto features = support::parseJsonObject(plugin().features(), "features");
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_EQ(support::stringMember(*features, "binary"), "/usr/sbin/runc");
  EXPECT_FALSE(support::stringMember(*features, "ociVersion").empty());
  EXPECT_FALSE(support::stringMember(*features, "binaryVersion").empty());
  EXPECT_TRUE(support::boolMember(*features, "hostNetwork"));
}

TEST_F(Pods, TenContainersAtOnceEndTogether) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  std::vector<Container> containers;
  for (int i = 0; i < 10; ++i) containers.push_back(newContainer(pod, {"sleep", "1000"}));
  std::vector<std::thread> threads;
  for (const Container& container : containers) {
    threads.emplace_back([&] { EXPECT_GT(run(pod, container).pid, 0); });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<std::string> ids;
  for (const Container& container : containers) ids.push_back(container.id);
  ids.push_back("unknown");
  const auto stats = plugin().containerStats(pod.id, ids);
  EXPECT_EQ(stats.size(), 10u);
  for (const auto& [id, found] : stats) {
    EXPECT_TRUE(found.values.present & BERTH_STATS_MEMORY);
    EXPECT_GT(found.values.memory_usage, 0u);
    EXPECT_GT(found.values.cpu_usage, 0u);
    EXPECT_EQ(found.values.processes, 1u);
  }
  const Result stopped = plugin().podStop(pod.id);
  EXPECT_TRUE(stopped.ok()) << PrintToString(stopped);
  for (const Container& container : containers) {
    const auto event = plugin().events().await(BERTH_EVENT_CONTAINER_EXITED, container.id);
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->exitCode, 128 + SIGKILL);
  }
  EXPECT_TRUE(support::pathExists(pod.paths[BERTH_NAMESPACE_NETWORK]));
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Pods, RemovalTakesRunningContainersAlong) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  run(pod, newContainer(pod, {"sleep", "1000"}));
  // One that was never started, and one with children that would outlive it.
  EXPECT_TRUE(create(pod, newContainer(pod, {"true"})).ok());
  run(pod, newContainer(pod, {"sh", "-c", "sleep 1000 & sleep 1000 & wait"}));
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Pods, UnknownIdsAreAlreadyGone) {
  EXPECT_TRUE(plugin().podStop("unknown").ok());
  EXPECT_TRUE(plugin().podRemove("unknown").ok());
  EXPECT_TRUE(plugin().containerRemove("unknown", "unknown").ok());
  EXPECT_TRUE(plugin().containerKill("unknown", "unknown", SIGTERM).ok());
  Status status;
  EXPECT_EQ(plugin().containerWait("unknown", "unknown", &status).code, BERTH_NOT_FOUND);
  EXPECT_EQ(plugin().podRecover("unknown", root_ + "/nowhere", "").code, BERTH_NOT_FOUND);
}

TEST_F(Pods, AnIdCannotBeUsedTwice) {
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  Pod again = pod;
  EXPECT_EQ(create(again).code, BERTH_ALREADY_EXISTS);
  restart();
  EXPECT_EQ(create(again).code, BERTH_ALREADY_EXISTS);
  EXPECT_TRUE(plugin().podRemove(pod.id).ok());
}

TEST_F(Pods, RefusedOnesLeaveNothing) {
  Pod badSysctl = newPod();
  badSysctl.sysctls = {{"net.no.such.thing", "1"}};
  const Result refused = create(badSysctl);
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(refused.message, HasSubstr("thing"));
  Pod badId = newPod();
  badId.id = "../x";
  badId.directory = root_ + "/pods/x";
  EXPECT_EQ(create(badId).code, BERTH_INVALID_ARGUMENT);
  Pod cancelled = newPod();
  TestOp op;
  op.cancel();
  EXPECT_EQ(create(cancelled, op).code, BERTH_CANCELLED);
  EXPECT_TRUE(plugin().podRemove(cancelled.id).ok());
}

TEST_F(Pods, SysctlsAndStatsAreOfThePodsNetwork) {
  Pod pod = newPod();
  pod.sysctls = {{"net.ipv4.ip_default_ttl", "77"}};
  ASSERT_TRUE(create(pod).ok());
  const auto link =
      support::run({.argv = {"nsenter", "--net=" + pod.paths[BERTH_NAMESPACE_NETWORK], "ip", "link",
                             "add", "berth-a", "type", "veth", "peer", "name", "berth-b"}});
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_EQ(link->exitCode, 0) << link->standardError;
  const Container container =
      newContainer(pod, {"sh", "-c", "cat /proc/sys/net/ipv4/ip_default_ttl; sleep 1000"});
  run(pod, container);
  EXPECT_TRUE(logHas(container, "stdout F 77\n"));
  for (int repeat = 0; repeat < 2; ++repeat) {
    const auto stats = plugin().podStats(pod.id);
    ASSERT_TRUE(stats.contains(pod.id));
    const Stats& found = stats.at(pod.id);
    EXPECT_TRUE(found.values.present & BERTH_STATS_NETWORK);
    EXPECT_THAT(found.interfaces, ::testing::UnorderedElementsAre("berth-a", "berth-b"));
    EXPECT_GT(found.values.memory_usage, 0u);
    EXPECT_GT(found.values.cpu_usage, 0u);
    EXPECT_GE(found.values.processes, 0u);
  }
  EXPECT_TRUE(plugin().podRemove(pod.id).ok());
}

TEST_F(Pods, SharedPidNamespaceHasAnInitThatReaps) {
  Pod pod = newPod();
  pod.namespaces |= BERTH_NAMESPACE_PID;
  ASSERT_TRUE(create(pod).ok());
  ASSERT_TRUE(pod.paths.contains(BERTH_NAMESPACE_PID));
  const Container first = newContainer(pod, {"sleep", "1000"});
  run(pod, first);
  const Container second =
      newContainer(pod, {"sh", "-c",
                         "for p in /proc/[0-9]*; do cat $p/cmdline | tr '\\0' ' '; "
                         "echo; done; echo self $$"});
  run(pod, second);
  EXPECT_EQ(waitFor(pod, second).exitCode, 0);
  EXPECT_THAT(logOf(second), HasSubstr("sleep 1000"));
  EXPECT_THAT(logOf(second), ::testing::Not(HasSubstr("self 1\n")));
  const Result removed = plugin().podRemove(pod.id);
  EXPECT_TRUE(removed.ok()) << PrintToString(removed);
}

TEST_F(Pods, HostNamespacesNeedNoNetworkPin) {
  Pod pod = newPod();
  pod.namespaces = BERTH_NAMESPACE_IPC;
  pod.hostname.clear();
  ASSERT_TRUE(create(pod).ok());
  EXPECT_FALSE(pod.paths.contains(BERTH_NAMESPACE_NETWORK));
  const Container container = newContainer(pod, {"true"});
  run(pod, container);
  EXPECT_EQ(waitFor(pod, container).exitCode, 0);
  const auto stats = plugin().podStats(pod.id);
  ASSERT_TRUE(stats.contains(pod.id));
  EXPECT_EQ(stats.at(pod.id).values.present & BERTH_STATS_NETWORK, 0u);
  EXPECT_TRUE(plugin().podRemove(pod.id).ok());
}

TEST_F(Pods, ResourcesOfAPodAreSetOnItsOwnCgroup) {
  const auto* extension =
      plugin().extension<berth_runtime_pod_resources>(BERTH_EXTENSION_POD_RESOURCES);
  ASSERT_NE(extension, nullptr);
  Pod pod = newPod();
  ASSERT_TRUE(create(pod).ok());
  run(pod, newContainer(pod, {"sleep", "1000"}));
  const TestOp op;
  const Result updated = plugin().call([&](const berth_runtime&, void* self, berth_error* error) {
    return extension->update(self, op.get(), str(pod.id), str(R"({"memory":{"limit":67108864}})"),
                             str(R"({"memory":{"limit":1048576}})"), error);
  });
  EXPECT_TRUE(updated.ok()) << PrintToString(updated);
  const auto stats = plugin().podStats(pod.id);
  EXPECT_EQ(stats.at(pod.id).values.memory_limit, 68157440u);
  EXPECT_TRUE(plugin().podRemove(pod.id).ok());
}

TEST(Start, SaysWhatIsMissing) {
  PluginInstance noRuntime(test_paths::plugin, R"({"path": "/nowhere/none", "root": "/nowhere"})");
  EXPECT_EQ(noRuntime.started().code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(noRuntime.started().message, HasSubstr("/nowhere/none"));
  PluginInstance noMonitor(test_paths::plugin, R"({"path": "/bin/sh", "monitor": "/nowhere/m"})");
  EXPECT_EQ(noMonitor.started().code, BERTH_FAILED_PRECONDITION);
  EXPECT_THAT(noMonitor.started().message, HasSubstr("/nowhere/m"));
  PluginInstance badOptions(test_paths::plugin, R"({"root": "relative"})");
  EXPECT_EQ(badOptions.started().code, BERTH_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace berth::test
