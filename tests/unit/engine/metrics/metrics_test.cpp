// What holds for all metrics.
#include "engine/metrics/metrics.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/metrics/load_average.hpp"
#include "fixture.hpp"

namespace berth::metrics {
namespace {

namespace v1 = runtime::v1;
using ::testing::ElementsAre;

std::map<std::string, v1::MetricDescriptor> descriptorsByName() {
  std::map<std::string, v1::MetricDescriptor> result;
  for (const v1::MetricDescriptor& one : descriptors()) result[one.name()] = one;
  return result;
}

TEST(MetricsTest, EachDescriptorOnceAndExplained) {
  std::set<std::string> names;
  for (const v1::MetricDescriptor& one : descriptors()) {
    EXPECT_TRUE(names.insert(one.name()).second) << one.name();
    EXPECT_TRUE(one.name().starts_with("container_")) << one.name();
    EXPECT_FALSE(one.help().empty()) << one.name();
    const std::set<std::string> keys(one.label_keys().begin(), one.label_keys().end());
    EXPECT_EQ(keys.size(), static_cast<size_t>(one.label_keys_size())) << one.name();
    EXPECT_FALSE(keys.contains("")) << one.name();
  }
}

// The sets that the kubelet asks of cAdvisor (its server's includedMetrics), and huge pages.
TEST(MetricsTest, TheKubeletsSetIsComplete) {
  const auto known = descriptorsByName();
  for (const char* name : {"container_blkio_device_usage_total",
                           "container_cpu_cfs_periods_total",
                           "container_cpu_cfs_throttled_periods_total",
                           "container_cpu_cfs_throttled_seconds_total",
                           "container_cpu_load_average_10s",
                           "container_cpu_system_seconds_total",
                           "container_cpu_usage_seconds_total",
                           "container_cpu_user_seconds_total",
                           "container_file_descriptors",
                           "container_fs_inodes_free",
                           "container_fs_inodes_total",
                           "container_fs_io_current",
                           "container_fs_io_time_seconds_total",
                           "container_fs_limit_bytes",
                           "container_fs_read_seconds_total",
                           "container_fs_reads_bytes_total",
                           "container_fs_reads_merged_total",
                           "container_fs_reads_total",
                           "container_fs_sector_reads_total",
                           "container_fs_sector_writes_total",
                           "container_fs_usage_bytes",
                           "container_fs_write_seconds_total",
                           "container_fs_writes_bytes_total",
                           "container_fs_writes_merged_total",
                           "container_fs_writes_total",
                           "container_hugetlb_failcnt",
                           "container_hugetlb_max_usage_bytes",
                           "container_hugetlb_usage_bytes",
                           "container_last_seen",
                           "container_memory_cache",
                           "container_memory_failcnt",
                           "container_memory_failures_total",
                           "container_memory_kernel_usage",
                           "container_memory_mapped_file",
                           "container_memory_max_usage_bytes",
                           "container_memory_rss",
                           "container_memory_swap",
                           "container_memory_total_active_file_bytes",
                           "container_memory_total_inactive_file_bytes",
                           "container_memory_usage_bytes",
                           "container_memory_working_set_bytes",
                           "container_network_receive_bytes_total",
                           "container_network_receive_errors_total",
                           "container_network_receive_packets_dropped_total",
                           "container_network_receive_packets_total",
                           "container_network_transmit_bytes_total",
                           "container_network_transmit_errors_total",
                           "container_network_transmit_packets_dropped_total",
                           "container_network_transmit_packets_total",
                           "container_oom_events_total",
                           "container_pressure_cpu_stalled_seconds_total",
                           "container_pressure_cpu_waiting_seconds_total",
                           "container_pressure_io_stalled_seconds_total",
                           "container_pressure_io_waiting_seconds_total",
                           "container_pressure_memory_stalled_seconds_total",
                           "container_pressure_memory_waiting_seconds_total",
                           "container_processes",
                           "container_sockets",
                           "container_spec_cpu_period",
                           "container_spec_cpu_quota",
                           "container_spec_cpu_shares",
                           "container_spec_memory_limit_bytes",
                           "container_spec_memory_reservation_limit_bytes",
                           "container_spec_memory_swap_limit_bytes",
                           "container_start_time_seconds",
                           "container_tasks_state",
                           "container_threads",
                           "container_threads_max",
                           "container_ulimits_soft"}) {
    EXPECT_TRUE(known.contains(name)) << name;
  }
}

TEST(MetricsTest, LabelKeysAreCadvisors) {
  const auto known = descriptorsByName();
  const auto keys = [&](const std::string& name) { return known.at(name).label_keys(); };
  EXPECT_THAT(keys("container_memory_rss"),
              ElementsAre("container", "id", "image", "name", "namespace", "pod"));
  EXPECT_THAT(keys("container_cpu_usage_seconds_total"),
              ElementsAre("container", "id", "image", "name", "namespace", "pod", "cpu"));
  EXPECT_THAT(
      keys("container_memory_failures_total"),
      ElementsAre("container", "id", "image", "name", "namespace", "pod", "failure_type", "scope"));
  EXPECT_THAT(keys("container_blkio_device_usage_total"),
              ElementsAre("container", "id", "image", "name", "namespace", "pod", "device", "major",
                          "minor", "operation"));
}

TEST(MetricsTest, WhatIsCollectedFitsItsDescriptor) {
  const auto known = descriptorsByName();
  std::set<std::string> collected;
  for (const v1::Metric& metric : KnownSubject().collected()) {
    collected.insert(metric.name());
    const auto descriptor = known.find(metric.name());
    ASSERT_NE(descriptor, known.end()) << metric.name();
    EXPECT_EQ(metric.label_values_size(), descriptor->second.label_keys_size()) << metric.name();
    EXPECT_TRUE(metric.has_value()) << metric.name();
  }
  // And when everything is known, every descriptor has its metric.
  for (const auto& [name, descriptor] : known) EXPECT_TRUE(collected.contains(name)) << name;
}

TEST(MetricsTest, NoSeriesTwice) {
  std::set<std::string> seen;
  for (const v1::Metric& metric : KnownSubject().collected()) {
    std::string series = metric.name();
    for (const std::string& label : metric.label_values()) series += "|" + label;
    EXPECT_TRUE(seen.insert(series).second) << series;
  }
}

TEST(MetricsTest, BaseLabelsAreTheSubjects) {
  for (const v1::Metric& metric : KnownSubject().collected()) {
    const std::vector<std::string> base(metric.label_values().begin(),
                                        metric.label_values().begin() + 6);
    EXPECT_THAT(base, ElementsAre("app", "/kubepods/pod1/c1", "registry.example/app:1", "c1",
                                  "shop", "web-0"))
        << metric.name();
  }
}

// CRI, Metric.timestamp: 0 unless the value was kept.
TEST(MetricsTest, OnlyKeptValuesHaveATimestamp) {
  for (const v1::Metric& metric : KnownSubject().collected()) {
    const bool kept = metric.name() == "container_fs_usage_bytes";
    EXPECT_EQ(metric.timestamp(), kept ? 77 * kSecond : 0) << metric.name();
  }
}

TEST(MetricsTest, CountersAreNamedSo) {
  for (const v1::Metric& metric : KnownSubject().collected()) {
    // As cAdvisor has it, this is a number of inodes that exist.
    const bool counter =
        (metric.name().ends_with("_total") || metric.name().ends_with("failcnt")) &&
        metric.name() != "container_fs_inodes_total";
    EXPECT_EQ(metric.metric_type(), counter ? v1::COUNTER : v1::GAUGE) << metric.name();
  }
}

TEST(MetricsTest, OfNothingKnownThereIsNothing) {
  Metrics metrics;
  collect(Subject(), metrics);
  EXPECT_EQ(metrics.size(), 0);
}

TEST(LoadAverageTest, AReadingCountsForWhatTenSecondsLeave) {
  LoadAverage average;
  EXPECT_DOUBLE_EQ(average.add(100 * kSecond, 4, 1).running, 4);
  const Load later = average.add(110 * kSecond, 0, 0);
  EXPECT_NEAR(later.running, 4 * 0.3679, 0.001);
  EXPECT_NEAR(later.uninterruptible, 0.3679, 0.001);
  EXPECT_NEAR(average.add(1000 * kSecond, 2, 0).running, 2, 1e-6);
}

}  // namespace
}  // namespace berth::metrics
