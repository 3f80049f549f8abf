/* Berth plugin ABI 1: runtimes. A runtime isolates pods and runs their containers: OCI runtime
 * binaries with namespaces, virtual machines, or anything else that can keep to this contract.
 *
 * A pod's life:       pod_create → (network attach by the host) → pod_start → containers
 *                     → pod_stop → (network detach by the host) → pod_remove
 * A container's life: container_create → container_start → exit → container_remove
 *
 * Everything that ends or removes is idempotent and takes ids it has never heard of as already
 * gone (BERTH_OK). Everything survives the host: pods and containers go on while it is away, exits
 * are kept, and pod_recover reports them.
 *
 * Objects for BERTH_THREADING_PER_OBJECT are pods. Whatever threading is declared, container_wait,
 * exec_wait and container_reopen_log run beside other calls: what they wait for is brought about by
 * those, and log rotation must not wait for anything. */
#pragma once

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_RUNTIME_INTERFACE "berth.runtime/1"

/* Namespaces, as bits (namespaces(7)). */
enum {
  BERTH_NAMESPACE_NETWORK = 1u << 0,
  BERTH_NAMESPACE_IPC = 1u << 1,
  BERTH_NAMESPACE_UTS = 1u << 2,
  BERTH_NAMESPACE_PID = 1u << 3,
  BERTH_NAMESPACE_USER = 1u << 4
};

typedef int32_t berth_cgroup_driver;
enum { BERTH_CGROUP_CGROUPFS = 1, BERTH_CGROUP_SYSTEMD = 2 };

typedef struct berth_pod_spec {
  size_t size;
  berth_str id; /* 64 hexadecimal digits; unique for ever */
  berth_str name;
  berth_str pod_namespace;
  berth_str uid;
  uint32_t attempt;
  /* Namespaces to make for the pod and share among its containers. The others are the host's, or
   * each container's own. With BERTH_NAMESPACE_PID a process of the runtime is PID 1 and reaps. */
  uint32_t new_namespaces;
  berth_str handler; /* the runtime class handler */
  berth_str
      directory; /* on tmpfs, exists, for this pod and this plugin alone; the host removes it */
  berth_str hostname;      /* for a new UTS namespace; empty keeps the host's */
  berth_str cgroup_parent; /* the pod's cgroup: a path, or a slice with the systemd driver */
  berth_cgroup_driver cgroup_driver;
  int32_t oom_score_adj;     /* for the runtime's own helpers of this pod; clamp, do not fail */
  const berth_pair* sysctls; /* "net.ipv4.ip_forward" → "1", for the new namespaces */
  size_t sysctl_count;
  const berth_id_mapping* uid_mappings; /* for a new user namespace */
  size_t uid_mapping_count;
  const berth_id_mapping* gid_mappings;
  size_t gid_mapping_count;
  const berth_pair* labels;
  size_t label_count;
  const berth_pair* annotations;
  size_t annotation_count;
  berth_str resources; /* the pod's sum, OCI linux.resources JSON; may be empty */
  berth_str overhead;  /* likewise, RuntimeClass overhead */
  /* Those that the node's operator gives all pods of this runtime. `annotations` has them too,
   * unless the pod sets one of that name. A runtime that lets only some annotations of pods have an
   * effect lets all of these. Since 1.1. */
  const berth_pair* default_annotations;
  size_t default_annotation_count;
} berth_pod_spec;

/* Receives what pod_create has made. Functions copy; one thread at a time. */
typedef struct berth_pod_builder {
  size_t size;
  void* host;
  /* The path by which a new namespace can be joined, valid in the host's mount namespace until
   * pod_remove. `name_space` is one BERTH_NAMESPACE_ bit. */
  void (*set_namespace)(struct berth_pod_builder* builder, uint32_t name_space, berth_str path);
  /* Opaque state for pod_recover. */
  void (*set_state)(struct berth_pod_builder* builder, berth_bytes state);
} berth_pod_builder;

enum {
  BERTH_CONTAINER_TERMINAL = 1u << 0,  /* a pseudo-terminal for its standard streams */
  BERTH_CONTAINER_STDIN = 1u << 1,     /* stdin stays open for attach; else it is /dev/null */
  BERTH_CONTAINER_STDIN_ONCE = 1u << 2 /* stdin closes when the first attach ends */
};

typedef struct berth_container_spec {
  size_t size;
  berth_str pod;
  berth_str id; /* 64 hexadecimal digits; unique for ever */
  berth_str name;
  uint32_t attempt;
  uint32_t flags;      /* BERTH_CONTAINER_ */
  berth_str directory; /* the bundle: on tmpfs, exists; the plugin writes config.json into it */
  berth_str rootfs;    /* where the host has mounted the root filesystem */
  berth_str spec;      /* OCI runtime spec, JSON, root.path being `rootfs` */
  berth_str log_path;  /* CRI log file; empty: output is discarded */
} berth_container_spec;

typedef int32_t berth_container_state;
enum { BERTH_CONTAINER_CREATED = 1, BERTH_CONTAINER_RUNNING = 2, BERTH_CONTAINER_EXITED = 3 };

typedef struct berth_container_status {
  size_t size;
  berth_str id;
  berth_container_state state;
  uint32_t flags; /* BERTH_EVENT_OOM_KILLED */
  int64_t pid;    /* of the first process, in the host's PID namespace; 0 when it has none */
  int32_t exit_code;
  int32_t reserved;
  int64_t started_at;  /* CLOCK_REALTIME, nanoseconds; 0: not yet, or, when it has exited, never */
  int64_t finished_at; /* likewise */
  /* Only in what is given to a sink: why it could not be started. May be empty. */
  berth_str message;
} berth_container_status;

typedef struct berth_container_status_sink {
  size_t size;
  void* host;
  void (*add)(struct berth_container_status_sink* sink, const berth_container_status* status);
} berth_container_status_sink;

/* Pressure stall information (kernel documentation, accounting/psi). Averages in percent. */
typedef struct berth_psi {
  double some_avg10, some_avg60, some_avg300;
  double full_avg10, full_avg60, full_avg300;
  uint64_t some_total, full_total; /* microseconds */
} berth_psi;

/* Groups of berth_stats: bits of `present`, which the plugin knows, and of berth_stats_sink.wanted,
 * which the host will look at. */
enum {
  BERTH_STATS_CPU = 1u << 0,
  BERTH_STATS_MEMORY = 1u << 1,
  BERTH_STATS_SWAP = 1u << 2,
  BERTH_STATS_PROCESSES = 1u << 3,
  BERTH_STATS_PSI = 1u << 4,
  BERTH_STATS_IO = 1u << 5,
  BERTH_STATS_NETWORK = 1u << 6,
  BERTH_STATS_MEMORY_LIMIT = 1u << 7, /* there is one */
  BERTH_STATS_SWAP_LIMIT = 1u << 8,   /* likewise */
  BERTH_STATS_CPU_DETAIL = 1u << 9,
  BERTH_STATS_MEMORY_DETAIL = 1u << 10,
  BERTH_STATS_RECLAIM = 1u << 11,
  /* These are costly: only when they are wanted. */
  BERTH_STATS_DISKS = 1u << 12,
  BERTH_STATS_HUGEPAGES = 1u << 13,
  BERTH_STATS_DESCRIPTORS = 1u << 14,
  BERTH_STATS_SOCKETS = 1u << 15,
  BERTH_STATS_TASKS = 1u << 16,
  BERTH_STATS_ON_REQUEST = BERTH_STATS_DISKS | BERTH_STATS_HUGEPAGES | BERTH_STATS_DESCRIPTORS |
                           BERTH_STATS_SOCKETS | BERTH_STATS_TASKS
};

typedef struct berth_interface_stats {
  size_t size;
  berth_str name;
  uint64_t rx_bytes, rx_packets, rx_errors, rx_dropped;
  uint64_t tx_bytes, tx_packets, tx_errors, tx_dropped;
} berth_interface_stats;

/* Parts of berth_disk_stats that not every kernel counts, as bits. */
enum {
  BERTH_DISK_SYNC = 1u << 0,      /* sync_bytes, async_bytes */
  BERTH_DISK_SCHEDULER = 1u << 1, /* from reads_merged to queued */
  BERTH_DISK_COST = 1u << 2       /* the controller's cost model, from cost_usage on */
};

/* What was read from and written to a disk. */
typedef struct berth_disk_stats {
  size_t size;
  berth_str device; /* "/dev/sda"; empty when only the number is known */
  uint32_t major, minor;
  uint32_t present; /* BERTH_DISK_ */
  uint32_t reserved;
  uint64_t read_bytes, written_bytes, discarded_bytes, reads, writes;
  uint64_t sync_bytes, async_bytes;
  uint64_t reads_merged, writes_merged;
  uint64_t read_time, write_time; /* nanoseconds between dispatch and completion */
  uint64_t queued;                /* requests now */
  uint64_t cost_usage, cost_wait, cost_debt, cost_delay; /* nanoseconds */
} berth_disk_stats;

/* Huge pages of one size. */
typedef struct berth_hugepage_stats {
  size_t size;
  berth_str page_size;       /* "2MB", as cgroups name it */
  uint64_t usage, max_usage; /* bytes; max_usage 0: not known */
  uint64_t failures;         /* times the limit was hit */
} berth_hugepage_stats;

/* Usage of a container, or of a whole pod. */
typedef struct berth_stats {
  size_t size;
  berth_str id;
  int64_t timestamp; /* CLOCK_REALTIME, nanoseconds */
  uint32_t present;  /* BERTH_STATS_ */
  uint32_t reserved;
  uint64_t cpu_usage;            /* CPU: nanoseconds of one core */
  uint64_t cpu_user, cpu_system; /* CPU_DETAIL, down to cpu_throttled_time */
  uint64_t cpu_periods, cpu_throttled_periods, cpu_throttled_time; /* time in nanoseconds */
  uint64_t memory_usage, memory_working_set, memory_rss, memory_cache, memory_mapped_file;
  uint64_t memory_kernel, memory_max_usage, memory_failures; /* MEMORY_DETAIL */
  uint64_t memory_limit;                                     /* MEMORY_LIMIT */
  uint64_t page_faults, major_page_faults;                   /* MEMORY */
  uint64_t swap_usage, swap_limit;
  uint64_t processes, threads, threads_limit; /* PROCESSES; threads_limit 0: none */
  uint64_t file_descriptors;                  /* DESCRIPTORS: open in all processes together */
  uint64_t sockets;                           /* SOCKETS: those of them that are sockets */
  uint64_t io_read_bytes, io_written_bytes, io_reads, io_writes;
  uint64_t oom_events; /* MEMORY_DETAIL: processes that the OOM killer ended */
  berth_psi cpu_psi, memory_psi, io_psi;
  const berth_interface_stats* interfaces; /* pods with a network namespace of their own */
  size_t interface_count;
  uint64_t cpu_burst_periods, cpu_burst_time; /* CPU_DETAIL; time in nanoseconds */
  /* MEMORY_DETAIL. The own page faults are those of the container's processes themselves, without
   * those of cgroups that they made for others below. */
  uint64_t memory_active_file, memory_inactive_file, memory_file_dirty, memory_file_writeback;
  uint64_t own_page_faults, own_major_page_faults;
  /* RECLAIM: times the soft and the hard limit were met, and pages. */
  uint64_t memory_high_events, memory_max_events;
  uint64_t pages_scanned, pages_reclaimed, file_refaults, anonymous_refaults;
  uint64_t open_files_limit; /* DESCRIPTORS: RLIMIT_NOFILE, soft, of the first process */
  uint64_t tasks_running, tasks_sleeping, tasks_stopped, tasks_uninterruptible; /* TASKS: threads */
  const berth_disk_stats* disks;
  size_t disk_count;
  const berth_hugepage_stats* hugepages;
  size_t hugepage_count;
} berth_stats;

typedef struct berth_stats_sink {
  size_t size;
  void* host;
  void (*add)(struct berth_stats_sink* sink, const berth_stats* stats);
  /* The groups (BERTH_STATS_) that the host will look at: a plugin may leave out the others, and
   * those of BERTH_STATS_ON_REQUEST it does. 0 stands for all but BERTH_STATS_ON_REQUEST. */
  uint32_t wanted;
  uint32_t reserved;
} berth_stats_sink;

/* A process to be added to a running container. The descriptors become its standard streams; -1
 * stands for /dev/null. With BERTH_CONTAINER_TERMINAL the runtime copies between a new
 * pseudo-terminal and stdin_fd and stdout_fd; stderr_fd is unused. */
typedef struct berth_exec_spec {
  size_t size;
  berth_str pod;
  berth_str container;
  berth_str id;      /* unique within the container */
  berth_str process; /* OCI runtime spec, "Process", JSON */
  uint32_t flags;    /* BERTH_CONTAINER_TERMINAL */
  int32_t stdin_fd;
  int32_t stdout_fd;
  int32_t stderr_fd;
  uint32_t rows; /* first size of the terminal; 0: default */
  uint32_t columns;
} berth_exec_spec;

typedef struct berth_runtime {
  size_t size;

  /* Writes a JSON object of what this runtime offers on this host:
   * {"ociVersion": "1.0.2-dev", "binary": "/usr/sbin/runc", "binaryVersion": "1.1.5",
   *  "userNamespaces": true, "recursiveReadOnly": true, "idmappedMounts": false,
   *  "checkpoint": false, "checkpointReason": "criu is not installed", "hostNetwork": true,
   *  "hostPid": true, "hostIpc": true, "virtualMachine": false}. Members left out are false,
   * but those of the host true. Of a virtual machine only the network has a path. Asked once. */
  berth_code (*features)(void* instance, berth_sink* out, berth_error* error);

  /* Makes the pod's isolation: namespaces, helpers. BERTH_ALREADY_EXISTS when the id is in use.
   * On failure nothing is left. */
  berth_code (*pod_create)(void* instance, const berth_op* op, const berth_pod_spec* spec,
                           berth_pod_builder* out, berth_error* error);
  /* The network is up: a virtual machine boots here; a runtime of namespaces has nothing to do. */
  berth_code (*pod_start)(void* instance, const berth_op* op, berth_str pod, berth_error* error);
  /* Ends all processes of the pod at once (SIGKILL). Namespace paths stay valid. This and
   * pod_remove work from the plugin's own files for a pod that it has not recovered. */
  berth_code (*pod_stop)(void* instance, const berth_op* op, berth_str pod, berth_error* error);
  /* Releases everything of the pod, containers included. Runs every step and reports all failures
   * in one message. */
  berth_code (*pod_remove)(void* instance, const berth_op* op, berth_str pod, berth_error* error);
  /* Called for each known pod after the host has started: reconnects, and adds the status of every
   * container. `state` is what was saved. Events that happened before are not emitted again; those
   * after are. BERTH_NOT_FOUND when the pod's isolation is gone; the exits that were kept are added
   * all the same. Any other code says that it is not known what became of the pod: the host leaves
   * it as it is and asks again. */
  berth_code (*pod_recover)(void* instance, const berth_op* op, berth_str pod, berth_str directory,
                            berth_bytes state, berth_container_status_sink* out,
                            berth_error* error);

  /* Prepares a container without running it: nothing of the image executes. */
  berth_code (*container_create)(void* instance, const berth_op* op,
                                 const berth_container_spec* spec, berth_error* error);
  /* Runs it. A failure of the runtime or of finding the program is reported here, with the
   * runtime's own words. Fills `status` (size set by the caller). */
  berth_code (*container_start)(void* instance, const berth_op* op, berth_str pod,
                                berth_str container, berth_container_status* status,
                                berth_error* error);
  /* Sends a signal to the first process, or to all processes of the container. OK when it has
   * exited. The exit arrives as an event. */
  berth_code (*container_kill)(void* instance, const berth_op* op, berth_str pod,
                               berth_str container, int32_t signal, int32_t all,
                               berth_error* error);
  /* Waits until the container has exited and its exit is durable. Fills `status`. NOT_FOUND when it
   * does not exist. */
  berth_code (*container_wait)(void* instance, const berth_op* op, berth_str pod,
                               berth_str container, berth_container_status* status,
                               berth_error* error);
  /* Removes an exited or never started container; one that runs is killed first. */
  berth_code (*container_remove)(void* instance, const berth_op* op, berth_str pod,
                                 berth_str container, berth_error* error);
  /* `resources`: OCI runtime spec, linux.resources, JSON, and beside its members "oomScoreAdj", a
   * whole number for process.oomScoreAdj. What is left out stays as it is. What cannot be changed
   * is FAILED_PRECONDITION with its name, not silence. */
  berth_code (*container_update)(void* instance, const berth_op* op, berth_str pod,
                                 berth_str container, berth_str resources, berth_error* error);
  /* The log file was renamed: opens log_path anew. No line is lost or written twice. Never waits
   * for another call about the pod. */
  berth_code (*container_reopen_log)(void* instance, const berth_op* op, berth_str pod,
                                     berth_str container, berth_error* error);

  /* Usage now, for each container id that runs; unknown ones are left out. Costs no process. */
  berth_code (*container_stats)(void* instance, const berth_op* op, berth_str pod,
                                const berth_str* containers, size_t container_count,
                                berth_stats_sink* out, berth_error* error);
  /* Usage of the pod as a whole, network included. */
  berth_code (*pod_stats)(void* instance, const berth_op* op, berth_str pod, berth_stats_sink* out,
                          berth_error* error);

  /* Starts a process in a running container; returns when it runs or has failed to. */
  berth_code (*exec_start)(void* instance, const berth_op* op, const berth_exec_spec* spec,
                           berth_error* error);
  /* Waits for its end and forgets it. What it has written stands in its descriptors by then, as far
   * as they are read: the host reads what is there, and no more. On cancellation or deadline the
   * process and all its descendants are killed before the call returns. */
  berth_code (*exec_wait)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                          berth_str exec, int32_t* exit_code, berth_error* error);
  /* Sets the size of the terminal of a container, or of an exec when `exec` is given. */
  berth_code (*resize)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                       berth_str exec, uint32_t rows, uint32_t columns, berth_error* error);
  /* Connects descriptors (-1: not wanted) to the container's standard streams and returns at once.
   * They are closed when the container exits; end of file on stdin_fd is passed on. */
  berth_code (*attach)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                       int32_t stdin_fd, int32_t stdout_fd, int32_t stderr_fd, berth_error* error);
} berth_runtime;

#ifdef __cplusplus
}
#endif
