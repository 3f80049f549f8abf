// Statistics of a runtime plugin (berth/runtime.h).
#pragma once

#include <cstdint>

#include "berth/runtime.h"

namespace berth::support {

// Adds the usage of `part` to `sum`; limits, pressure and arrays aside.
inline void addStats(berth_stats& sum, const berth_stats& part) {
  constexpr uint32_t kLeftOut = BERTH_STATS_MEMORY_LIMIT | BERTH_STATS_SWAP_LIMIT |
                                BERTH_STATS_PSI | BERTH_STATS_NETWORK | BERTH_STATS_DISKS |
                                BERTH_STATS_HUGEPAGES;
  sum.present |= part.present & ~kLeftOut;
  constexpr uint64_t berth_stats::*kMembers[] = {
      &berth_stats::cpu_usage,
      &berth_stats::cpu_user,
      &berth_stats::cpu_system,
      &berth_stats::cpu_periods,
      &berth_stats::cpu_throttled_periods,
      &berth_stats::cpu_throttled_time,
      &berth_stats::cpu_burst_periods,
      &berth_stats::cpu_burst_time,
      &berth_stats::memory_usage,
      &berth_stats::memory_working_set,
      &berth_stats::memory_rss,
      &berth_stats::memory_cache,
      &berth_stats::memory_mapped_file,
      &berth_stats::memory_kernel,
      &berth_stats::memory_failures,
      &berth_stats::memory_active_file,
      &berth_stats::memory_inactive_file,
      &berth_stats::memory_file_dirty,
      &berth_stats::memory_file_writeback,
      &berth_stats::page_faults,
      &berth_stats::major_page_faults,
      &berth_stats::own_page_faults,
      &berth_stats::own_major_page_faults,
      &berth_stats::memory_high_events,
      &berth_stats::memory_max_events,
      &berth_stats::pages_scanned,
      &berth_stats::pages_reclaimed,
      &berth_stats::file_refaults,
      &berth_stats::anonymous_refaults,
      &berth_stats::swap_usage,
      &berth_stats::processes,
      &berth_stats::threads,
      &berth_stats::file_descriptors,
      &berth_stats::sockets,
      &berth_stats::tasks_running,
      &berth_stats::tasks_sleeping,
      &berth_stats::tasks_stopped,
      &berth_stats::tasks_uninterruptible,
      &berth_stats::io_read_bytes,
      &berth_stats::io_written_bytes,
      &berth_stats::io_reads,
      &berth_stats::io_writes,
      &berth_stats::oom_events,
  };
  for (const auto member : kMembers) sum.*member += part.*member;
  sum.timestamp = part.timestamp;
}

}  // namespace berth::support
