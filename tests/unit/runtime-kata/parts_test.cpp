// Records, statistics, events.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cgroups/metrics_v1.pb.h"
#include "cgroups/metrics_v2.pb.h"
#include "host_parts.hpp"
#include "keeper/shim_events.hpp"
#include "records.hpp"
#include "task_stats.hpp"
#include "ttrpc/fields.hpp"
#include "ttrpc_peer.hpp"

namespace berth::kata {
namespace {

TEST(Records, ComeBackAsTheyWent) {
  PodRecord pod;
  pod.id = "pod";
  pod.directory = "/d";
  pod.shim = "/bin/shim";
  pod.namespaces = true;
  pod.madeCgroups = {"/a", "/a/b"};
  pod.address = {.address = "unix:///s", .version = 3};
  pod.shimPid = 7;
  pod.shimStart = 1234567890123;
  pod.stopped = true;
  const auto again = parsePodRecord("pod", serialize(pod));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(serialize(*again), serialize(pod));
  EXPECT_TRUE(absl::IsDataLoss(parsePodRecord("other", serialize(pod)).status()));
  EXPECT_TRUE(absl::IsDataLoss(parsePodRecord("pod", "{").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(parsePodRecord("pod", R"({"version": 9})").status()));
}

TEST(Records, OfContainersAreFoundAgain) {
  const ttrpc::test::Folder folder;
  PodRecord pod;
  pod.directory = folder / "";
  std::filesystem::create_directory(pod.containersDirectory());
  ContainerRecord record;
  record.id = "c1";
  record.stage = Stage::kExited;
  record.exitCode = 137;
  record.oomKilled = true;
  record.message = "why";
  record.cgroup = "/sys/fs/cgroup/pod/c1";
  ASSERT_TRUE(save(pod, record).ok());
  std::filesystem::copy_file(pod.containersDirectory() + "/c1.json",
                             pod.containersDirectory() + "/c2.json");
  std::vector<support::DamagedFile> damages;
  const auto found = loadContainers(pod, damages);
  ASSERT_TRUE(found.ok() && found->size() == 1);
  EXPECT_EQ(found->at(0).stage, Stage::kExited);
  EXPECT_EQ(found->at(0).exitCode, 137);
  EXPECT_EQ(found->at(0).message, "why");
  EXPECT_EQ(found->at(0).cgroup, "/sys/fs/cgroup/pod/c1");
  EXPECT_EQ(damages.size(), 1u) << "a record under another's name";
  EXPECT_TRUE(forget(pod, "c1").ok());
}

TEST(Cgroups, OfAContainerAloneHaveItsName) {
  EXPECT_EQ(cgroupNamed("c1", "0::/pod.slice/berth-c1.scope\n"),
            "/sys/fs/cgroup/pod.slice/berth-c1.scope");
  EXPECT_EQ(cgroupNamed("c1", "0::/pod/c1\n"), "/sys/fs/cgroup/pod/c1");
  EXPECT_EQ(cgroupNamed("c1", "0::/pod/c1/inner\n"), "");
  EXPECT_EQ(cgroupNamed("c1", "0::/pod.slice/berth-sandbox.scope\n"), "");
  EXPECT_EQ(cgroupNamed("c1", "4:memory:/pod/c1\n"), "");
}

TEST(Stats, OfVersionOne) {
  io::containerd::cgroups::v1::Metrics metrics;
  metrics.mutable_cpu()->mutable_usage()->set_total(5'000);
  metrics.mutable_memory()->mutable_usage()->set_usage(1'000);
  metrics.mutable_memory()->mutable_usage()->set_limit(0x7ffffffffffff000);
  metrics.mutable_memory()->set_total_inactive_file(300);
  auto* entry = metrics.mutable_blkio()->add_io_service_bytes_recursive();
  entry->set_op("Read");
  entry->set_value(9);
  const auto stats =
      parseStats("types/io.containerd.cgroups.v1.Metrics", metrics.SerializeAsString());
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->stats.cpu_usage, 5'000u);
  EXPECT_EQ(stats->stats.memory_working_set, 700u);
  EXPECT_EQ(stats->stats.io_read_bytes, 9u);
  EXPECT_EQ(stats->stats.present & BERTH_STATS_MEMORY_LIMIT, 0u) << "what v1 calls no limit";
}

TEST(Stats, OfVersionTwo) {
  io::containerd::cgroups::v2::Metrics metrics;
  metrics.mutable_cpu()->set_usage_usec(5);
  metrics.mutable_memory()->set_usage(1'000);
  metrics.mutable_memory()->set_usage_limit(4'096);
  metrics.mutable_memory_events()->set_oom_kill(2);
  metrics.mutable_pids()->set_limit(UINT64_MAX);
  const auto stats = parseStats("io.containerd.cgroups.v2.Metrics", metrics.SerializeAsString());
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->stats.cpu_usage, 5'000u);
  EXPECT_EQ(stats->stats.memory_limit, 4'096u);
  EXPECT_EQ(stats->stats.oom_events, 2u);
  EXPECT_EQ(stats->stats.threads_limit, 0u);
}

TEST(Stats, OfOtherTypesAreNone) {
  EXPECT_TRUE(absl::IsUnimplemented(parseStats("x.Metrics", "").status()));
  EXPECT_TRUE(absl::IsInternal(parseStats("io.containerd.cgroups.v1.Metrics", "\x0f").status()));
}

TEST(Stats, OfInterfaces) {
  const auto found = parseInterfaces(
      "Inter-|   Receive\n face |bytes\n"
      "    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n"
      "  eth0:10 11 12 13 0 0 0 0 20 21 22 23 0 0 0 0\n  bad: 1 2\n");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].name, "eth0");
  EXPECT_EQ(found[0].stats.rx_bytes, 10u);
  EXPECT_EQ(found[0].stats.tx_dropped, 23u);
}

std::string forward(const std::string& topic, const std::string& event) {
  std::string any;
  ttrpc::FieldWriter(any).bytes(2, event);
  std::string envelope;
  ttrpc::FieldWriter writer(envelope);
  writer.bytes(3, topic);
  writer.bytes(4, any);
  std::string request;
  ttrpc::FieldWriter(request).bytes(1, envelope);
  return request;
}

TEST(ShimEvents, AreRead) {
  std::string exit;
  ttrpc::FieldWriter writer(exit);
  writer.bytes(1, "container");
  writer.bytes(2, "exec");
  writer.number(4, 137);
  keeper::ShimEvent event;
  ASSERT_TRUE(keeper::parseForward(forward("/tasks/exit", exit), event));
  EXPECT_EQ(event.topic, "/tasks/exit");
  EXPECT_EQ(event.container, "container");
  EXPECT_EQ(event.id, "exec");
  EXPECT_FALSE(keeper::parseForward("\x0a\x7f", event));
  EXPECT_FALSE(keeper::parseForward(forward("/tasks/exit", "\x0a\x7f"), event));
  keeper::ShimEvent none;
  EXPECT_FALSE(keeper::parseForward("", none));
}

}  // namespace
}  // namespace berth::kata
