// Single metrics: units, labels, conditions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fixture.hpp"

namespace berth::metrics {
namespace {

using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::UnorderedElementsAre;
using Own = std::vector<std::string>;

TEST(ValuesTest, TimesAreInSeconds) {
  KnownSubject known;
  known.stats.raw.cpu_usage = 12 * kSecond + 1;
  known.stats.raw.cpu_user = 7 * kSecond;
  known.stats.raw.cpu_system = 5 * kSecond;
  known.stats.raw.memory_psi.some_total = 3'000'000;  // microseconds
  known.stats.raw.memory_psi.full_total = 2'999'999;
  EXPECT_EQ(known.value("container_cpu_usage_seconds_total", {"total"}), 12u);
  EXPECT_EQ(known.value("container_cpu_user_seconds_total"), 7u);
  EXPECT_EQ(known.value("container_cpu_system_seconds_total"), 5u);
  EXPECT_EQ(known.value("container_pressure_memory_waiting_seconds_total"), 3u);
  EXPECT_EQ(known.value("container_pressure_memory_stalled_seconds_total"), 2u);
  EXPECT_EQ(known.value("container_last_seen"), 100u);
  EXPECT_EQ(known.value("container_creation_time_seconds"), 10u);
  EXPECT_EQ(known.value("container_start_time_seconds"), 11u);
}

TEST(ValuesTest, WithoutAQuotaThereIsNothingOfIt) {
  KnownSubject known;
  known.stats.raw.cpu_throttled_time = 4 * kSecond;
  EXPECT_EQ(known.value("container_cpu_cfs_throttled_seconds_total"), 4u);
  EXPECT_EQ(known.value("container_spec_cpu_quota"), 50'000u);
  known.resources.set_cpu_quota(-1);
  EXPECT_THAT(known.named("container_cpu_cfs_periods_total"), IsEmpty());
  EXPECT_THAT(known.named("container_spec_cpu_quota"), IsEmpty());
}

TEST(ValuesTest, LimitsThatNobodySetAreTheKernels) {
  KnownSubject known;
  EXPECT_EQ(known.value("container_spec_cpu_period"), 100'000u);
  EXPECT_EQ(known.value("container_spec_cpu_shares"), 1024u);
  EXPECT_EQ(known.value("container_spec_memory_limit_bytes"), 0u);
  known.resources.set_cpu_shares(2);
  known.resources.set_memory_limit_in_bytes(1 << 20);
  known.resources.set_memory_swap_limit_in_bytes(-1);
  (*known.resources.mutable_unified())["memory.min"] = "4096";
  EXPECT_EQ(known.value("container_spec_cpu_shares"), 2u);
  EXPECT_EQ(known.value("container_spec_memory_limit_bytes"), uint64_t{1} << 20);
  EXPECT_EQ(known.value("container_spec_memory_swap_limit_bytes"), 0u);
  EXPECT_EQ(known.value("container_spec_memory_reservation_limit_bytes"), 4096u);
}

TEST(ValuesTest, GroupsThatTheRuntimeDoesNotKnowAreLeftOut) {
  KnownSubject known;
  known.stats.raw.present = BERTH_STATS_CPU;
  EXPECT_EQ(known.value("container_cpu_usage_seconds_total", {"total"}), 0u);
  for (const char* name :
       {"container_cpu_user_seconds_total", "container_memory_rss", "container_sockets",
        "container_tasks_state", "container_fs_reads_total", "container_memory_pgscan_total",
        "container_pressure_cpu_waiting_seconds_total", "container_network_receive_bytes_total",
        "container_hugetlb_usage_bytes", "container_processes", "container_ulimits_soft"}) {
    EXPECT_THAT(known.named(name), IsEmpty()) << name;
  }
}

TEST(ValuesTest, PageFaultsByTypeAndScope) {
  KnownSubject known;
  known.stats.raw.page_faults = 40;
  known.stats.raw.major_page_faults = 30;
  known.stats.raw.own_page_faults = 20;
  known.stats.raw.own_major_page_faults = 10;
  EXPECT_EQ(known.value("container_memory_failures_total", {"pgfault", "hierarchy"}), 40u);
  EXPECT_EQ(known.value("container_memory_failures_total", {"pgmajfault", "hierarchy"}), 30u);
  EXPECT_EQ(known.value("container_memory_failures_total", {"pgfault", "container"}), 20u);
  EXPECT_EQ(known.value("container_memory_failures_total", {"pgmajfault", "container"}), 10u);
}

TEST(ValuesTest, DisksByDevice) {
  KnownSubject known;
  berth_disk_stats& disk = known.stats.disks.front().raw;
  disk.read_bytes = 1024;
  disk.written_bytes = 2048;
  disk.discarded_bytes = 4096;
  disk.reads = 3;
  disk.read_time = 2 * kSecond;
  disk.write_time = kSecond;
  disk.cost_wait = 9 * kSecond;
  EXPECT_EQ(known.value("container_fs_reads_bytes_total", {"/dev/sda"}), 1024u);
  EXPECT_EQ(known.value("container_fs_reads_total", {"/dev/sda"}), 3u);
  EXPECT_EQ(known.value("container_fs_sector_writes_total", {"/dev/sda"}), 4u);
  EXPECT_EQ(known.value("container_fs_io_time_seconds_total", {"/dev/sda"}), 3u);
  EXPECT_EQ(known.value("container_fs_io_cost_wait_seconds_total", {"/dev/sda"}), 9u);
  EXPECT_EQ(known.value("container_blkio_device_usage_total", {"/dev/sda", "8", "0", "Total"}),
            7168u);
  EXPECT_THAT(
      known.named("container_blkio_device_usage_total"),
      UnorderedElementsAre(
          Key(Own{"/dev/sda", "8", "0", "Read"}), Key(Own{"/dev/sda", "8", "0", "Write"}),
          Key(Own{"/dev/sda", "8", "0", "Sync"}), Key(Own{"/dev/sda", "8", "0", "Async"}),
          Key(Own{"/dev/sda", "8", "0", "Discard"}), Key(Own{"/dev/sda", "8", "0", "Total"})));
}

TEST(ValuesTest, ADiskOfAKernelThatCountsLess) {
  KnownSubject known;
  known.stats.disks.front().raw.present = 0;
  known.stats.disks.front().device.clear();
  EXPECT_THAT(known.named("container_fs_io_current"), IsEmpty());
  EXPECT_THAT(known.named("container_fs_io_cost_wait_seconds_total"), IsEmpty());
  // A disk without a name goes by its number.
  EXPECT_THAT(known.named("container_fs_reads_total"), UnorderedElementsAre(Key(Own{"8:0"})));
  EXPECT_THAT(
      known.named("container_blkio_device_usage_total"),
      UnorderedElementsAre(Key(Own{"8:0", "8", "0", "Read"}), Key(Own{"8:0", "8", "0", "Write"})));
}

TEST(ValuesTest, InterfacesAndPageSizesEachHaveTheirOwn) {
  KnownSubject known;
  known.stats.interfaces.push_back({"net1", {}});
  known.stats.interfaces.back().raw.rx_bytes = 5;
  known.stats.hugePages.push_back({"1GB", {}});
  EXPECT_EQ(known.value("container_network_receive_bytes_total", {"eth0"}), 0u);
  EXPECT_EQ(known.value("container_network_receive_bytes_total", {"net1"}), 5u);
  EXPECT_THAT(known.named("container_hugetlb_usage_bytes"),
              UnorderedElementsAre(Key(Own{"2MB"}), Key(Own{"1GB"})));
  // Not known on every kernel.
  EXPECT_THAT(known.named("container_hugetlb_max_usage_bytes"),
              UnorderedElementsAre(Key(Own{"2MB"})));
}

TEST(ValuesTest, ALayerThatIsNotMeasuredYetHasNoUsage) {
  KnownSubject known;
  known.filesystem.capacity = 1 << 30;
  EXPECT_EQ(known.value("container_fs_usage_bytes", {"/dev/sda1"}), 4096u);
  known.filesystem.used.reset();
  EXPECT_THAT(known.named("container_fs_usage_bytes"), IsEmpty());
  EXPECT_EQ(known.value("container_fs_limit_bytes", {"/dev/sda1"}), uint64_t{1} << 30);
}

TEST(ValuesTest, LoadIsInThousandths) {
  KnownSubject known;
  known.load = {1.25, 0.5};
  EXPECT_EQ(known.value("container_cpu_load_average_10s"), 1250u);
  EXPECT_EQ(known.value("container_cpu_load_d_average_10s"), 500u);
}

}  // namespace
}  // namespace berth::metrics
