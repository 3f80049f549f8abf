// The layout of the ABI on 64-bit machines (x86_64 and aarch64 agree), as it was published: a
// member that moves breaks every plugin that was built before. New members are added at the end of
// a struct, here with a line of their own and with the struct's new size.
#include <cstddef>

#include "berth/runtime.h"

#define BERTH_SIZE(type, bytes) static_assert(sizeof(type) == (bytes), "size of " #type)
#define BERTH_AT(type, member, bytes) \
  static_assert(offsetof(type, member) == (bytes), #type "." #member)

#if defined(__LP64__)

BERTH_SIZE(berth_pod_spec, 280);
BERTH_AT(berth_pod_spec, size, 0);
BERTH_AT(berth_pod_spec, id, 8);
BERTH_AT(berth_pod_spec, name, 24);
BERTH_AT(berth_pod_spec, pod_namespace, 40);
BERTH_AT(berth_pod_spec, uid, 56);
BERTH_AT(berth_pod_spec, attempt, 72);
BERTH_AT(berth_pod_spec, new_namespaces, 76);
BERTH_AT(berth_pod_spec, handler, 80);
BERTH_AT(berth_pod_spec, directory, 96);
BERTH_AT(berth_pod_spec, hostname, 112);
BERTH_AT(berth_pod_spec, cgroup_parent, 128);
BERTH_AT(berth_pod_spec, cgroup_driver, 144);
BERTH_AT(berth_pod_spec, oom_score_adj, 148);
BERTH_AT(berth_pod_spec, sysctls, 152);
BERTH_AT(berth_pod_spec, sysctl_count, 160);
BERTH_AT(berth_pod_spec, uid_mappings, 168);
BERTH_AT(berth_pod_spec, uid_mapping_count, 176);
BERTH_AT(berth_pod_spec, gid_mappings, 184);
BERTH_AT(berth_pod_spec, gid_mapping_count, 192);
BERTH_AT(berth_pod_spec, labels, 200);
BERTH_AT(berth_pod_spec, label_count, 208);
BERTH_AT(berth_pod_spec, annotations, 216);
BERTH_AT(berth_pod_spec, annotation_count, 224);
BERTH_AT(berth_pod_spec, resources, 232);
BERTH_AT(berth_pod_spec, overhead, 248);
BERTH_AT(berth_pod_spec, default_annotations, 264);
BERTH_AT(berth_pod_spec, default_annotation_count, 272);

BERTH_SIZE(berth_pod_builder, 32);
BERTH_AT(berth_pod_builder, size, 0);
BERTH_AT(berth_pod_builder, host, 8);
BERTH_AT(berth_pod_builder, set_namespace, 16);
BERTH_AT(berth_pod_builder, set_state, 24);

BERTH_SIZE(berth_container_spec, 128);
BERTH_AT(berth_container_spec, size, 0);
BERTH_AT(berth_container_spec, pod, 8);
BERTH_AT(berth_container_spec, id, 24);
BERTH_AT(berth_container_spec, name, 40);
BERTH_AT(berth_container_spec, attempt, 56);
BERTH_AT(berth_container_spec, flags, 60);
BERTH_AT(berth_container_spec, directory, 64);
BERTH_AT(berth_container_spec, rootfs, 80);
BERTH_AT(berth_container_spec, spec, 96);
BERTH_AT(berth_container_spec, log_path, 112);

BERTH_SIZE(berth_container_status, 80);
BERTH_AT(berth_container_status, size, 0);
BERTH_AT(berth_container_status, id, 8);
BERTH_AT(berth_container_status, state, 24);
BERTH_AT(berth_container_status, flags, 28);
BERTH_AT(berth_container_status, pid, 32);
BERTH_AT(berth_container_status, exit_code, 40);
BERTH_AT(berth_container_status, reserved, 44);
BERTH_AT(berth_container_status, started_at, 48);
BERTH_AT(berth_container_status, finished_at, 56);
BERTH_AT(berth_container_status, message, 64);

BERTH_SIZE(berth_container_status_sink, 24);
BERTH_AT(berth_container_status_sink, size, 0);
BERTH_AT(berth_container_status_sink, host, 8);
BERTH_AT(berth_container_status_sink, add, 16);

BERTH_SIZE(berth_psi, 64);
BERTH_AT(berth_psi, some_avg10, 0);
BERTH_AT(berth_psi, some_avg60, 8);
BERTH_AT(berth_psi, some_avg300, 16);
BERTH_AT(berth_psi, full_avg10, 24);
BERTH_AT(berth_psi, full_avg60, 32);
BERTH_AT(berth_psi, full_avg300, 40);
BERTH_AT(berth_psi, some_total, 48);
BERTH_AT(berth_psi, full_total, 56);

BERTH_SIZE(berth_interface_stats, 88);
BERTH_AT(berth_interface_stats, size, 0);
BERTH_AT(berth_interface_stats, name, 8);
BERTH_AT(berth_interface_stats, rx_bytes, 24);
BERTH_AT(berth_interface_stats, rx_packets, 32);
BERTH_AT(berth_interface_stats, rx_errors, 40);
BERTH_AT(berth_interface_stats, rx_dropped, 48);
BERTH_AT(berth_interface_stats, tx_bytes, 56);
BERTH_AT(berth_interface_stats, tx_packets, 64);
BERTH_AT(berth_interface_stats, tx_errors, 72);
BERTH_AT(berth_interface_stats, tx_dropped, 80);

BERTH_SIZE(berth_disk_stats, 168);
BERTH_AT(berth_disk_stats, size, 0);
BERTH_AT(berth_disk_stats, device, 8);
BERTH_AT(berth_disk_stats, major, 24);
BERTH_AT(berth_disk_stats, minor, 28);
BERTH_AT(berth_disk_stats, present, 32);
BERTH_AT(berth_disk_stats, reserved, 36);
BERTH_AT(berth_disk_stats, read_bytes, 40);
BERTH_AT(berth_disk_stats, written_bytes, 48);
BERTH_AT(berth_disk_stats, discarded_bytes, 56);
BERTH_AT(berth_disk_stats, reads, 64);
BERTH_AT(berth_disk_stats, writes, 72);
BERTH_AT(berth_disk_stats, sync_bytes, 80);
BERTH_AT(berth_disk_stats, async_bytes, 88);
BERTH_AT(berth_disk_stats, reads_merged, 96);
BERTH_AT(berth_disk_stats, writes_merged, 104);
BERTH_AT(berth_disk_stats, read_time, 112);
BERTH_AT(berth_disk_stats, write_time, 120);
BERTH_AT(berth_disk_stats, queued, 128);
BERTH_AT(berth_disk_stats, cost_usage, 136);
BERTH_AT(berth_disk_stats, cost_wait, 144);
BERTH_AT(berth_disk_stats, cost_debt, 152);
BERTH_AT(berth_disk_stats, cost_delay, 160);

BERTH_SIZE(berth_hugepage_stats, 48);
BERTH_AT(berth_hugepage_stats, size, 0);
BERTH_AT(berth_hugepage_stats, page_size, 8);
BERTH_AT(berth_hugepage_stats, usage, 24);
BERTH_AT(berth_hugepage_stats, max_usage, 32);
BERTH_AT(berth_hugepage_stats, failures, 40);

BERTH_SIZE(berth_stats, 664);
BERTH_AT(berth_stats, size, 0);
BERTH_AT(berth_stats, id, 8);
BERTH_AT(berth_stats, timestamp, 24);
BERTH_AT(berth_stats, present, 32);
BERTH_AT(berth_stats, reserved, 36);
BERTH_AT(berth_stats, cpu_usage, 40);
BERTH_AT(berth_stats, cpu_user, 48);
BERTH_AT(berth_stats, cpu_system, 56);
BERTH_AT(berth_stats, cpu_periods, 64);
BERTH_AT(berth_stats, cpu_throttled_periods, 72);
BERTH_AT(berth_stats, cpu_throttled_time, 80);
BERTH_AT(berth_stats, memory_usage, 88);
BERTH_AT(berth_stats, memory_working_set, 96);
BERTH_AT(berth_stats, memory_rss, 104);
BERTH_AT(berth_stats, memory_cache, 112);
BERTH_AT(berth_stats, memory_mapped_file, 120);
BERTH_AT(berth_stats, memory_kernel, 128);
BERTH_AT(berth_stats, memory_max_usage, 136);
BERTH_AT(berth_stats, memory_failures, 144);
BERTH_AT(berth_stats, memory_limit, 152);
BERTH_AT(berth_stats, page_faults, 160);
BERTH_AT(berth_stats, major_page_faults, 168);
BERTH_AT(berth_stats, swap_usage, 176);
BERTH_AT(berth_stats, swap_limit, 184);
BERTH_AT(berth_stats, processes, 192);
BERTH_AT(berth_stats, threads, 200);
BERTH_AT(berth_stats, threads_limit, 208);
BERTH_AT(berth_stats, file_descriptors, 216);
BERTH_AT(berth_stats, sockets, 224);
BERTH_AT(berth_stats, io_read_bytes, 232);
BERTH_AT(berth_stats, io_written_bytes, 240);
BERTH_AT(berth_stats, io_reads, 248);
BERTH_AT(berth_stats, io_writes, 256);
BERTH_AT(berth_stats, oom_events, 264);
BERTH_AT(berth_stats, cpu_psi, 272);
BERTH_AT(berth_stats, memory_psi, 336);
BERTH_AT(berth_stats, io_psi, 400);
BERTH_AT(berth_stats, interfaces, 464);
BERTH_AT(berth_stats, interface_count, 472);
BERTH_AT(berth_stats, cpu_burst_periods, 480);
BERTH_AT(berth_stats, cpu_burst_time, 488);
BERTH_AT(berth_stats, memory_active_file, 496);
BERTH_AT(berth_stats, memory_inactive_file, 504);
BERTH_AT(berth_stats, memory_file_dirty, 512);
BERTH_AT(berth_stats, memory_file_writeback, 520);
BERTH_AT(berth_stats, own_page_faults, 528);
BERTH_AT(berth_stats, own_major_page_faults, 536);
BERTH_AT(berth_stats, memory_high_events, 544);
BERTH_AT(berth_stats, memory_max_events, 552);
BERTH_AT(berth_stats, pages_scanned, 560);
BERTH_AT(berth_stats, pages_reclaimed, 568);
BERTH_AT(berth_stats, file_refaults, 576);
BERTH_AT(berth_stats, anonymous_refaults, 584);
BERTH_AT(berth_stats, open_files_limit, 592);
BERTH_AT(berth_stats, tasks_running, 600);
BERTH_AT(berth_stats, tasks_sleeping, 608);
BERTH_AT(berth_stats, tasks_stopped, 616);
BERTH_AT(berth_stats, tasks_uninterruptible, 624);
BERTH_AT(berth_stats, disks, 632);
BERTH_AT(berth_stats, disk_count, 640);
BERTH_AT(berth_stats, hugepages, 648);
BERTH_AT(berth_stats, hugepage_count, 656);

BERTH_SIZE(berth_stats_sink, 32);
BERTH_AT(berth_stats_sink, size, 0);
BERTH_AT(berth_stats_sink, host, 8);
BERTH_AT(berth_stats_sink, add, 16);
BERTH_AT(berth_stats_sink, wanted, 24);
BERTH_AT(berth_stats_sink, reserved, 28);

BERTH_SIZE(berth_exec_spec, 96);
BERTH_AT(berth_exec_spec, size, 0);
BERTH_AT(berth_exec_spec, pod, 8);
BERTH_AT(berth_exec_spec, container, 24);
BERTH_AT(berth_exec_spec, id, 40);
BERTH_AT(berth_exec_spec, process, 56);
BERTH_AT(berth_exec_spec, flags, 72);
BERTH_AT(berth_exec_spec, stdin_fd, 76);
BERTH_AT(berth_exec_spec, stdout_fd, 80);
BERTH_AT(berth_exec_spec, stderr_fd, 84);
BERTH_AT(berth_exec_spec, rows, 88);
BERTH_AT(berth_exec_spec, columns, 92);

BERTH_SIZE(berth_runtime, 160);
BERTH_AT(berth_runtime, size, 0);
BERTH_AT(berth_runtime, features, 8);
BERTH_AT(berth_runtime, pod_create, 16);
BERTH_AT(berth_runtime, pod_start, 24);
BERTH_AT(berth_runtime, pod_stop, 32);
BERTH_AT(berth_runtime, pod_remove, 40);
BERTH_AT(berth_runtime, pod_recover, 48);
BERTH_AT(berth_runtime, container_create, 56);
BERTH_AT(berth_runtime, container_start, 64);
BERTH_AT(berth_runtime, container_kill, 72);
BERTH_AT(berth_runtime, container_wait, 80);
BERTH_AT(berth_runtime, container_remove, 88);
BERTH_AT(berth_runtime, container_update, 96);
BERTH_AT(berth_runtime, container_reopen_log, 104);
BERTH_AT(berth_runtime, container_stats, 112);
BERTH_AT(berth_runtime, pod_stats, 120);
BERTH_AT(berth_runtime, exec_start, 128);
BERTH_AT(berth_runtime, exec_wait, 136);
BERTH_AT(berth_runtime, resize, 144);
BERTH_AT(berth_runtime, attach, 152);

#endif
