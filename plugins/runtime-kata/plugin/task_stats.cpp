#include "task_stats.hpp"

#include <algorithm>

#include <absl/strings/numbers.h>
#include <absl/strings/str_split.h>

#include "berth/support/status.hpp"
#include "cgroups/metrics_v1.pb.h"
#include "cgroups/metrics_v2.pb.h"

namespace berth::kata {

using support::strCat;

namespace {

namespace v1 = io::containerd::cgroups::v1;
namespace v2 = io::containerd::cgroups::v2;

constexpr uint64_t kPerMicrosecond = 1000;
// cgroup v1 has no word for "none": it is the largest whole number of pages.
constexpr uint64_t kNoLimit = uint64_t{1} << 62;

uint64_t without(uint64_t whole, uint64_t part) {
  return whole > part ? whole - part : 0;
}

template <class Entries>
void readHugepages(const Entries& entries, TaskStats& out) {
  for (const auto& entry : entries) {
    out.pageSizes.push_back(entry.pagesize());
    berth_hugepage_stats stats{};
    stats.size = sizeof stats;
    stats.max_usage = entry.max();
    out.hugepages.push_back(stats);
  }
  out.stats.present |= BERTH_STATS_HUGEPAGES;
}

void readV1(const v1::Metrics& metrics, TaskStats& out) {
  berth_stats& stats = out.stats;
  if (metrics.has_cpu()) {
    stats.present |= BERTH_STATS_CPU | BERTH_STATS_CPU_DETAIL;
    stats.cpu_usage = metrics.cpu().usage().total();
    stats.cpu_user = metrics.cpu().usage().user();
    stats.cpu_system = metrics.cpu().usage().kernel();
    stats.cpu_periods = metrics.cpu().throttling().periods();
    stats.cpu_throttled_periods = metrics.cpu().throttling().throttled_periods();
    stats.cpu_throttled_time = metrics.cpu().throttling().throttled_time();
  }
  if (metrics.has_memory()) {
    const v1::MemoryStat& memory = metrics.memory();
    stats.present |= BERTH_STATS_MEMORY | BERTH_STATS_MEMORY_DETAIL;
    stats.memory_usage = memory.usage().usage();
    stats.memory_working_set = without(stats.memory_usage, memory.total_inactive_file());
    stats.memory_rss = memory.total_rss();
    stats.memory_cache = memory.total_cache();
    stats.memory_mapped_file = memory.total_mapped_file();
    stats.memory_kernel = memory.kernel().usage();
    stats.memory_max_usage = memory.usage().max();
    stats.memory_failures = memory.usage().failcnt();
    stats.page_faults = memory.total_pg_fault();
    stats.major_page_faults = memory.total_pg_maj_fault();
    stats.memory_active_file = memory.total_active_file();
    stats.memory_inactive_file = memory.total_inactive_file();
    stats.memory_file_dirty = memory.total_dirty();
    stats.memory_file_writeback = memory.total_writeback();
    stats.oom_events = metrics.memory_oom_control().oom_kill();
    if (memory.usage().limit() != 0 && memory.usage().limit() < kNoLimit) {
      stats.present |= BERTH_STATS_MEMORY_LIMIT;
      stats.memory_limit = memory.usage().limit();
    }
    if (memory.has_swap() && memory.swap().limit() != 0) {
      // Of both together.
      stats.present |= BERTH_STATS_SWAP;
      stats.swap_usage = without(memory.swap().usage(), stats.memory_usage);
      if (memory.swap().limit() < kNoLimit) {
        stats.present |= BERTH_STATS_SWAP_LIMIT;
        stats.swap_limit = without(memory.swap().limit(), stats.memory_limit);
      }
    }
  }
  if (metrics.has_pids()) {
    stats.present |= BERTH_STATS_PROCESSES;
    stats.processes = stats.threads = metrics.pids().current();
    stats.threads_limit = metrics.pids().limit();
  }
  if (metrics.has_blkio()) {
    stats.present |= BERTH_STATS_IO;
    for (const auto& entry : metrics.blkio().io_service_bytes_recursive()) {
      if (entry.op() == "Read") stats.io_read_bytes += entry.value();
      if (entry.op() == "Write") stats.io_written_bytes += entry.value();
    }
    for (const auto& entry : metrics.blkio().io_serviced_recursive()) {
      if (entry.op() == "Read") stats.io_reads += entry.value();
      if (entry.op() == "Write") stats.io_writes += entry.value();
    }
  }
  readHugepages(metrics.hugetlb(), out);
  for (int i = 0; i < metrics.hugetlb_size(); ++i) {
    out.hugepages[static_cast<size_t>(i)].usage = metrics.hugetlb(i).usage();
    out.hugepages[static_cast<size_t>(i)].failures = metrics.hugetlb(i).failcnt();
  }
}

void readV2(const v2::Metrics& metrics, TaskStats& out) {
  berth_stats& stats = out.stats;
  if (metrics.has_cpu()) {
    stats.present |= BERTH_STATS_CPU | BERTH_STATS_CPU_DETAIL;
    stats.cpu_usage = metrics.cpu().usage_usec() * kPerMicrosecond;
    stats.cpu_user = metrics.cpu().user_usec() * kPerMicrosecond;
    stats.cpu_system = metrics.cpu().system_usec() * kPerMicrosecond;
    stats.cpu_periods = metrics.cpu().nr_periods();
    stats.cpu_throttled_periods = metrics.cpu().nr_throttled();
    stats.cpu_throttled_time = metrics.cpu().throttled_usec() * kPerMicrosecond;
  }
  if (metrics.has_memory()) {
    const v2::MemoryStat& memory = metrics.memory();
    stats.present |= BERTH_STATS_MEMORY | BERTH_STATS_MEMORY_DETAIL | BERTH_STATS_SWAP;
    stats.memory_usage = memory.usage();
    stats.memory_working_set = without(memory.usage(), memory.inactive_file());
    stats.memory_rss = memory.anon();
    stats.memory_cache = memory.file();
    stats.memory_mapped_file = memory.file_mapped();
    stats.memory_kernel = memory.kernel_stack() + memory.slab();
    stats.memory_max_usage = memory.max_usage();
    stats.memory_failures = metrics.memory_events().max();
    stats.page_faults = memory.pgfault();
    stats.major_page_faults = memory.pgmajfault();
    stats.memory_active_file = memory.active_file();
    stats.memory_inactive_file = memory.inactive_file();
    stats.memory_file_dirty = memory.file_dirty();
    stats.memory_file_writeback = memory.file_writeback();
    stats.oom_events = metrics.memory_events().oom_kill();
    stats.swap_usage = memory.swap_usage();
    if (memory.usage_limit() != 0 && memory.usage_limit() < kNoLimit) {
      stats.present |= BERTH_STATS_MEMORY_LIMIT;
      stats.memory_limit = memory.usage_limit();
    }
    if (memory.swap_limit() != 0 && memory.swap_limit() < kNoLimit) {
      stats.present |= BERTH_STATS_SWAP_LIMIT;
      stats.swap_limit = memory.swap_limit();
    }
  }
  if (metrics.has_pids()) {
    stats.present |= BERTH_STATS_PROCESSES;
    stats.processes = stats.threads = metrics.pids().current();
    // The kernel's "max" comes as the largest number.
    stats.threads_limit = metrics.pids().limit() < kNoLimit ? metrics.pids().limit() : 0;
  }
  if (metrics.has_io()) {
    stats.present |= BERTH_STATS_IO;
    for (const auto& entry : metrics.io().usage()) {
      stats.io_read_bytes += entry.rbytes();
      stats.io_written_bytes += entry.wbytes();
      stats.io_reads += entry.rios();
      stats.io_writes += entry.wios();
    }
  }
  readHugepages(metrics.hugetlb(), out);
  for (int i = 0; i < metrics.hugetlb_size(); ++i) {
    out.hugepages[static_cast<size_t>(i)].usage = metrics.hugetlb(i).current();
  }
}

template <class Metrics, class Read>
absl::StatusOr<TaskStats> parse(std::string_view bytes, Read read) {
  Metrics metrics;
  if (!metrics.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InternalError("the shim's statistics are malformed");
  }
  TaskStats stats;
  read(metrics, stats);
  return stats;
}

}  // namespace

absl::StatusOr<TaskStats> parseStats(std::string_view url, std::string_view metrics) {
  const std::string_view type = url.substr(url.rfind('/') + 1);
  if (type == "io.containerd.cgroups.v1.Metrics") return parse<v1::Metrics>(metrics, readV1);
  if (type == "io.containerd.cgroups.v2.Metrics") return parse<v2::Metrics>(metrics, readV2);
  return absl::UnimplementedError(strCat("the shim's statistics are of type \"", url, "\""));
}

absl::StatusOr<TaskStats> askStats(TaskClient& shim, std::string_view id,
                                   const CallLimits& limits) {
  api::StatsRequest request;
  request.set_id(std::string(id));
  BERTH_ASSIGN_OR_RETURN(const auto response,
                         shim.ask<api::StatsResponse>("Stats", request, limits));
  return parseStats(response.stats().type_url(), response.stats().value());
}

std::vector<InterfaceStats> parseInterfaces(std::string_view text) {
  std::vector<InterfaceStats> result;
  for (const auto& line : absl::StrSplit(support::toAbsl(text), '\n', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 1));
    const std::vector<std::string> numbers = absl::StrSplit(parts.second, ' ', absl::SkipEmpty());
    InterfaceStats each;
    each.name =
        parts.first.substr(std::min(parts.first.find_first_not_of(' '), parts.first.size()));
    // Bytes, packets, errors and drops, of eight numbers in each direction.
    uint64_t* const places[] = {&each.stats.rx_bytes,  &each.stats.rx_packets,
                                &each.stats.rx_errors, &each.stats.rx_dropped,
                                &each.stats.tx_bytes,  &each.stats.tx_packets,
                                &each.stats.tx_errors, &each.stats.tx_dropped};
    if (numbers.size() < 16 || each.name == "lo") continue;
    bool whole = true;
    for (size_t i = 0; i < 8; ++i) {
      whole = whole && absl::SimpleAtoi(numbers[i < 4 ? i : i + 4], places[i]);
    }
    if (whole) result.push_back(std::move(each));
  }
  for (InterfaceStats& each : result) {
    each.stats.size = sizeof each.stats;
    each.stats.name = {each.name.data(), each.name.size()};
  }
  return result;
}

}  // namespace berth::kata
