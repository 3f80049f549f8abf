#include "engine/metrics/table.hpp"

#include <cmath>

#include "engine/metrics/getters.hpp"

namespace berth::metrics {

namespace {

using runtime::v1::COUNTER;
using runtime::v1::GAUGE;

// The kernel's own values where a container asks for none.
constexpr int64_t kDefaultPeriod = 100'000;
constexpr int64_t kDefaultShares = 1024;

void cpuUsage(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_CPU)) return;
  values.add(subject.raw().cpu_usage / kNanosecondsPerSecond, {"total"});
}

// cAdvisor's load is in thousandths, to be a whole number.
void addLoad(double load, Values& values) {
  values.add(static_cast<uint64_t>(std::llround(load * 1000)));
}
void load(const Subject& subject, Values& values) {
  if (subject.load != nullptr) addLoad(subject.load->running, values);
}
void uninterruptibleLoad(const Subject& subject, Values& values) {
  if (subject.load != nullptr) addLoad(subject.load->uninterruptible, values);
}

void taskStates(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_TASKS)) return;
  values.add(subject.raw().tasks_sleeping, {"sleeping"});
  values.add(subject.raw().tasks_running, {"running"});
  values.add(subject.raw().tasks_stopped, {"stopped"});
  values.add(subject.raw().tasks_uninterruptible, {"uninterruptible"});
}

void pageFaults(const Subject& subject, Values& values) {
  if (subject.has(BERTH_STATS_MEMORY_DETAIL)) {
    values.add(subject.raw().own_page_faults, {"pgfault", "container"});
    values.add(subject.raw().own_major_page_faults, {"pgmajfault", "container"});
  }
  if (subject.has(BERTH_STATS_MEMORY)) {
    values.add(subject.raw().page_faults, {"pgfault", "hierarchy"});
    values.add(subject.raw().major_page_faults, {"pgmajfault", "hierarchy"});
  }
}

// Not every kernel keeps the maximum: 0 is none.
void mostMemory(const Subject& subject, Values& values) {
  if (subject.has(BERTH_STATS_MEMORY_DETAIL) && subject.raw().memory_max_usage != 0) {
    values.add(subject.raw().memory_max_usage);
  }
}
void mostPages(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_HUGEPAGES)) return;
  for (const plugins::Stats::HugePages& one : subject.stats->hugePages) {
    if (one.raw.max_usage != 0) values.add(one.raw.max_usage, {one.pageSize});
  }
}

// The disks' own unit, whatever the size of their sectors.
constexpr uint64_t kSector = 512;

void ioTime(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_DISKS)) return;
  for (const plugins::Stats::Disk& disk : subject.stats->disks) {
    if ((disk.raw.present & BERTH_DISK_SCHEDULER) == 0) continue;
    values.add((disk.raw.read_time + disk.raw.write_time) / kNanosecondsPerSecond,
               {deviceLabel(disk)});
  }
}

void deviceUsage(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_DISKS)) return;
  for (const plugins::Stats::Disk& disk : subject.stats->disks) {
    const std::string device = deviceLabel(disk);
    const std::string major = std::to_string(disk.raw.major);
    const std::string minor = std::to_string(disk.raw.minor);
    const auto add = [&](std::string_view operation, uint64_t bytes) {
      values.add(bytes, {device, major, minor, operation});
    };
    add("Read", disk.raw.read_bytes);
    add("Write", disk.raw.written_bytes);
    if ((disk.raw.present & BERTH_DISK_SYNC) == 0) continue;
    add("Sync", disk.raw.sync_bytes);
    add("Async", disk.raw.async_bytes);
    add("Discard", disk.raw.discarded_bytes);
    add("Total", disk.raw.read_bytes + disk.raw.written_bytes + disk.raw.discarded_bytes);
  }
}

void filesystemUsage(const Subject& subject, Values& values) {
  if (subject.filesystem == nullptr || !subject.filesystem->used) return;
  values.addOf(subject.filesystem->usedAt, *subject.filesystem->used, {subject.filesystem->device});
}

void openFilesLimit(const Subject& subject, Values& values) {
  if (!subject.has(BERTH_STATS_DESCRIPTORS) || subject.raw().open_files_limit == 0) return;
  values.add(subject.raw().open_files_limit, {"max_open_files"});
}

// A limit as metrics give it: 0 where there is none.
void addLimit(int64_t limit, Values& values) {
  values.add(limit > 0 ? static_cast<uint64_t>(limit) : 0);
}
void cpuPeriod(const Subject& subject, Values& values) {
  if (subject.resources == nullptr) return;
  const int64_t period = subject.resources->cpu_period();
  addLimit(period > 0 ? period : kDefaultPeriod, values);
}
void cpuQuota(const Subject& subject, Values& values) {
  if (subject.resources == nullptr || subject.resources->cpu_quota() <= 0) return;
  addLimit(subject.resources->cpu_quota(), values);
}
void cpuShares(const Subject& subject, Values& values) {
  if (subject.resources == nullptr) return;
  const int64_t shares = subject.resources->cpu_shares();
  addLimit(shares > 0 ? shares : kDefaultShares, values);
}
void memoryLimit(const Subject& subject, Values& values) {
  if (subject.resources != nullptr) addLimit(subject.resources->memory_limit_in_bytes(), values);
}
void memoryReservation(const Subject& subject, Values& values) {
  if (subject.resources == nullptr) return;
  const auto& unified = subject.resources->unified();
  const auto found = unified.find("memory.min");
  addLimit(found == unified.end() ? 0 : std::atoll(found->second.c_str()), values);
}
void swapLimit(const Subject& subject, Values& values) {
  if (subject.resources == nullptr) return;
  addLimit(subject.resources->memory_swap_limit_in_bytes(), values);
}

using Getter = void (*)(const Subject&, Values&);
using OwnLabels = std::array<std::string_view, 4>;

constexpr Metric counter(std::string_view name, std::string_view help, Getter get,
                         OwnLabels ownLabels = {}) {
  return {name, help, COUNTER, ownLabels, get};
}
constexpr Metric gauge(std::string_view name, std::string_view help, Getter get,
                       OwnLabels ownLabels = {}) {
  return {name, help, GAUGE, ownLabels, get};
}

// Short names for the table's sake.
constexpr uint32_t kCpuDetail = BERTH_STATS_CPU_DETAIL;
constexpr uint32_t kMemory = BERTH_STATS_MEMORY;
constexpr uint32_t kMemoryDetail = BERTH_STATS_MEMORY_DETAIL;
constexpr uint32_t kReclaim = BERTH_STATS_RECLAIM;
constexpr uint32_t kSwap = BERTH_STATS_SWAP;
constexpr uint32_t kProcesses = BERTH_STATS_PROCESSES;
constexpr uint32_t kDescriptors = BERTH_STATS_DESCRIPTORS;
constexpr uint32_t kSockets = BERTH_STATS_SOCKETS;
constexpr uint32_t kScheduler = BERTH_DISK_SCHEDULER;
constexpr uint32_t kCost = BERTH_DISK_COST;
constexpr uint64_t kSeconds = kNanosecondsPerSecond;
using Stats = berth_stats;
using Disk = berth_disk_stats;
using Interface = berth_interface_stats;
using Pages = berth_hugepage_stats;

constexpr Metric kTable[] = {
    gauge("container_last_seen", "When this was collected, in seconds since 1970",
          time<&Subject::now>),
    gauge("container_creation_time_seconds", "When it was created, in seconds since 1970",
          time<&Subject::createdAt>),
    gauge("container_start_time_seconds", "When it was started, in seconds since 1970",
          time<&Subject::startedAt>),

    counter("container_cpu_usage_seconds_total", "CPU time taken", cpuUsage, {"cpu"}),
    counter("container_cpu_user_seconds_total", "CPU time taken in user mode",
            number<&Stats::cpu_user, kCpuDetail, kSeconds>),
    counter("container_cpu_system_seconds_total", "CPU time taken in the kernel",
            number<&Stats::cpu_system, kCpuDetail, kSeconds>),
    counter("container_cpu_cfs_periods_total", "Periods in which the CPU quota was watched",
            quota<&Stats::cpu_periods>),
    counter("container_cpu_cfs_throttled_periods_total", "Periods in which the CPU quota ran out",
            quota<&Stats::cpu_throttled_periods>),
    counter("container_cpu_cfs_throttled_seconds_total",
            "Time for which threads were held back by the CPU quota",
            quota<&Stats::cpu_throttled_time, kSeconds>),
    counter("container_cpu_cfs_burst_periods_total", "Periods in which saved-up CPU quota was used",
            quota<&Stats::cpu_burst_periods>),
    counter("container_cpu_cfs_burst_seconds_total", "CPU time taken from saved-up quota",
            quota<&Stats::cpu_burst_time, kSeconds>),
    gauge("container_cpu_load_average_10s",
          "Threads that run or want to, in thousandths, smoothed over 10 seconds", load),
    gauge("container_cpu_load_d_average_10s",
          "Threads in uninterruptible sleep, in thousandths, smoothed over 10 seconds",
          uninterruptibleLoad),
    gauge("container_tasks_state", "Threads in a state", taskStates, {"state"}),

    gauge("container_memory_usage_bytes", "All memory in use, the page cache included",
          number<&Stats::memory_usage, kMemory>),
    gauge("container_memory_working_set_bytes", "Memory in use that cannot be reclaimed easily",
          number<&Stats::memory_working_set, kMemory>),
    gauge("container_memory_rss", "Anonymous memory in bytes", number<&Stats::memory_rss, kMemory>),
    gauge("container_memory_cache", "Page cache in bytes", number<&Stats::memory_cache, kMemory>),
    gauge("container_memory_mapped_file", "Memory that maps files, in bytes",
          number<&Stats::memory_mapped_file, kMemory>),
    gauge("container_memory_swap", "Swap space in use, in bytes",
          number<&Stats::swap_usage, kSwap>),
    gauge("container_memory_kernel_usage", "Memory that the kernel uses on its behalf, in bytes",
          number<&Stats::memory_kernel, kMemoryDetail>),
    gauge("container_memory_max_usage_bytes", "The most memory that was in use", mostMemory),
    counter("container_memory_failcnt", "Times the memory limit was met",
            number<&Stats::memory_failures, kMemoryDetail>),
    gauge("container_memory_total_active_file_bytes", "Page cache used of late",
          number<&Stats::memory_active_file, kMemoryDetail>),
    gauge("container_memory_total_inactive_file_bytes", "Page cache not used of late",
          number<&Stats::memory_inactive_file, kMemoryDetail>),
    gauge("container_memory_file_dirty_bytes", "Page cache still to be written to disk",
          number<&Stats::memory_file_dirty, kMemoryDetail>),
    gauge("container_memory_file_writeback_bytes", "Page cache being written to disk",
          number<&Stats::memory_file_writeback, kMemoryDetail>),
    counter("container_memory_failures_total",
            "Page faults: all (pgfault), and those that went to disk (pgmajfault)", pageFaults,
            {"failure_type", "scope"}),
    counter("container_memory_events_high_total", "Times it was held back at memory.high",
            number<&Stats::memory_high_events, kReclaim>),
    counter("container_memory_events_max_total", "Times it was about to go over memory.max",
            number<&Stats::memory_max_events, kReclaim>),
    counter("container_memory_pgscan_total", "Pages looked at for reclaim",
            number<&Stats::pages_scanned, kReclaim>),
    counter("container_memory_pgsteal_total", "Pages reclaimed",
            number<&Stats::pages_reclaimed, kReclaim>),
    counter("container_memory_workingset_refault_file_total",
            "Pages of files that were needed again after their reclaim",
            number<&Stats::file_refaults, kReclaim>),
    counter("container_memory_workingset_refault_anon_total",
            "Anonymous pages that were needed again after their reclaim",
            number<&Stats::anonymous_refaults, kReclaim>),
    counter("container_oom_events_total", "Processes that the kernel's OOM killer ended",
            number<&Stats::oom_events, kMemoryDetail>),
    gauge("container_hugetlb_usage_bytes", "Huge pages in use", perPageSize<&Pages::usage>,
          {"pagesize"}),
    gauge("container_hugetlb_max_usage_bytes", "The most huge pages that were in use", mostPages,
          {"pagesize"}),
    counter("container_hugetlb_failcnt", "Times the limit of huge pages was met",
            perPageSize<&Pages::failures>, {"pagesize"}),

    gauge("container_fs_usage_bytes", "Disk space of the writable layer", filesystemUsage,
          {"device"}),
    gauge("container_fs_limit_bytes", "Size of the file system with the writable layer",
          perFilesystem<&Filesystem::capacity>, {"device"}),
    gauge("container_fs_inodes_total", "Inodes of the file system with the writable layer",
          perFilesystem<&Filesystem::inodes>, {"device"}),
    gauge("container_fs_inodes_free", "Free inodes of the file system with the writable layer",
          perFilesystem<&Filesystem::inodesFree>, {"device"}),
    counter("container_fs_reads_bytes_total", "Bytes read from a disk", perDisk<&Disk::read_bytes>,
            {"device"}),
    counter("container_fs_reads_total", "Reads from a disk", perDisk<&Disk::reads>, {"device"}),
    counter("container_fs_sector_reads_total", "Sectors of 512 bytes read from a disk",
            perDisk<&Disk::read_bytes, 0, kSector>, {"device"}),
    counter("container_fs_reads_merged_total", "Reads from a disk that were merged with others",
            perDisk<&Disk::reads_merged, kScheduler>, {"device"}),
    counter("container_fs_read_seconds_total", "Time that reads from a disk took",
            perDisk<&Disk::read_time, kScheduler, kSeconds>, {"device"}),
    counter("container_fs_writes_bytes_total", "Bytes written to a disk",
            perDisk<&Disk::written_bytes>, {"device"}),
    counter("container_fs_writes_total", "Writes to a disk", perDisk<&Disk::writes>, {"device"}),
    counter("container_fs_sector_writes_total", "Sectors of 512 bytes written to a disk",
            perDisk<&Disk::written_bytes, 0, kSector>, {"device"}),
    counter("container_fs_writes_merged_total", "Writes to a disk that were merged with others",
            perDisk<&Disk::writes_merged, kScheduler>, {"device"}),
    counter("container_fs_write_seconds_total", "Time that writes to a disk took",
            perDisk<&Disk::write_time, kScheduler, kSeconds>, {"device"}),
    gauge("container_fs_io_current", "Requests to a disk under way",
          perDisk<&Disk::queued, kScheduler>, {"device"}),
    counter("container_fs_io_time_seconds_total", "Time that reads and writes took", ioTime,
            {"device"}),
    counter("container_fs_io_cost_usage_seconds_total",
            "Disk time used by the model of the I/O cost controller",
            perDisk<&Disk::cost_usage, kCost, kSeconds>, {"device"}),
    counter("container_fs_io_cost_wait_seconds_total",
            "Time that requests waited for their share of a disk",
            perDisk<&Disk::cost_wait, kCost, kSeconds>, {"device"}),
    counter("container_fs_io_cost_indebt_seconds_total", "Time for which it owed disk time",
            perDisk<&Disk::cost_debt, kCost, kSeconds>, {"device"}),
    counter("container_fs_io_cost_indelay_seconds_total",
            "Time for which it was held back for owed disk time",
            perDisk<&Disk::cost_delay, kCost, kSeconds>, {"device"}),
    counter("container_blkio_device_usage_total", "Bytes moved to and from a disk, by operation",
            deviceUsage, {"device", "major", "minor", "operation"}),

    counter("container_network_receive_bytes_total", "Bytes received",
            perInterface<&Interface::rx_bytes>, {"interface"}),
    counter("container_network_receive_packets_total", "Packets received",
            perInterface<&Interface::rx_packets>, {"interface"}),
    counter("container_network_receive_packets_dropped_total", "Received packets that were dropped",
            perInterface<&Interface::rx_dropped>, {"interface"}),
    counter("container_network_receive_errors_total", "Errors while receiving",
            perInterface<&Interface::rx_errors>, {"interface"}),
    counter("container_network_transmit_bytes_total", "Bytes sent",
            perInterface<&Interface::tx_bytes>, {"interface"}),
    counter("container_network_transmit_packets_total", "Packets sent",
            perInterface<&Interface::tx_packets>, {"interface"}),
    counter("container_network_transmit_packets_dropped_total",
            "Packets that were dropped instead of sent", perInterface<&Interface::tx_dropped>,
            {"interface"}),
    counter("container_network_transmit_errors_total", "Errors while sending",
            perInterface<&Interface::tx_errors>, {"interface"}),

    gauge("container_processes", "Processes", number<&Stats::processes, kProcesses>),
    gauge("container_threads", "Threads", number<&Stats::threads, kProcesses>),
    gauge("container_threads_max", "The most threads that there may be; 0: any number",
          number<&Stats::threads_limit, kProcesses>),
    gauge("container_file_descriptors", "Open file descriptors of all processes",
          number<&Stats::file_descriptors, kDescriptors>),
    gauge("container_sockets", "Open sockets of all processes", number<&Stats::sockets, kSockets>),
    gauge("container_ulimits_soft", "Soft limits of the first process", openFilesLimit, {"ulimit"}),

    counter("container_pressure_cpu_waiting_seconds_total",
            "Time for which at least one thread waited for a CPU",
            pressure<&Stats::cpu_psi, &berth_psi::some_total>),
    counter("container_pressure_cpu_stalled_seconds_total",
            "Time for which all threads waited for a CPU",
            pressure<&Stats::cpu_psi, &berth_psi::full_total>),
    counter("container_pressure_memory_waiting_seconds_total",
            "Time for which at least one thread waited for memory",
            pressure<&Stats::memory_psi, &berth_psi::some_total>),
    counter("container_pressure_memory_stalled_seconds_total",
            "Time for which all threads waited for memory",
            pressure<&Stats::memory_psi, &berth_psi::full_total>),
    counter("container_pressure_io_waiting_seconds_total",
            "Time for which at least one thread waited for I/O",
            pressure<&Stats::io_psi, &berth_psi::some_total>),
    counter("container_pressure_io_stalled_seconds_total",
            "Time for which all threads waited for I/O",
            pressure<&Stats::io_psi, &berth_psi::full_total>),

    gauge("container_spec_cpu_period", "Microseconds of a period of the CPU quota", cpuPeriod),
    gauge("container_spec_cpu_quota", "Microseconds of CPU time in a period; absent: any number",
          cpuQuota),
    gauge("container_spec_cpu_shares",
          "Share of the CPUs when they are short, in relation to those of others", cpuShares),
    gauge("container_spec_memory_limit_bytes", "Memory limit; 0: none", memoryLimit),
    gauge("container_spec_memory_reservation_limit_bytes",
          "Memory that is never reclaimed; 0: none", memoryReservation),
    gauge("container_spec_memory_swap_limit_bytes",
          "Limit of memory and swap space together; 0: none", swapLimit),
};

}  // namespace

std::span<const Metric> table() {
  return kTable;
}

}  // namespace berth::metrics
