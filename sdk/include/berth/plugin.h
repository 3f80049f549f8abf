/* Berth plugin ABI 1: how a plugin and its host meet.
 *
 * A plugin is a shared object that exports one symbol, `berth_plugin_entry`. The host loads it with
 * RTLD_NOW | RTLD_LOCAL and never unloads it.
 *
 * Life cycle of an instance (one for each table of the configuration that names the plugin):
 *
 *     entry → create → configure → start → calls of its kind → stop → destroy
 * - entry: called once per loaded file. Returns the static description. Starts nothing.
 * - create: makes an instance. The host table stays valid until destroy returns, but none of its
 *   functions except `log`, `allocate` and `release` may be called before start.
 * - configure: gets the instance's options as a JSON object. The host has checked keys and types
 *   against `options` and filled in defaults; the plugin checks values. Called exactly once. It
 *   reads at most: the instance may be made only to check a configuration, beside one that works.
 * - start: threads, connections and host callbacks begin here. On failure the host calls destroy.
 *   But for snapshotters, the instance that it replaces may be at work beside it, in the same
 *   directories: what that may use is not cleared. Who must be alone says so and fails.
 * - stop: no call is running any more. The plugin ends its threads, within ten seconds, and makes
 *   no host callback after it returns. What runs for pods goes on: a host stops to be upgraded.
 * - destroy: frees the instance. A host that ends waits ten seconds for all instances together.
 *
 * Who is at fault. A message of `configure`, `start` or `examine` that is about an option begins
 * with "option PATH: ", where PATH is the option's key, and for a part of it the way there as TOML
 * writes it: `bin_dirs[1]`, `registries."a.example".mirrors[0]`. The host then puts the file, line
 * and column where that was written before it, or those of the nearest thing above it. Several such
 * messages come as lines of one. The reason alone is enough after it, as "must be absolute".
 */
#pragma once

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t berth_log_level;
enum { BERTH_LOG_DEBUG = 0, BERTH_LOG_INFO = 1, BERTH_LOG_WARNING = 2, BERTH_LOG_ERROR = 3 };

/* What a plugin tells of its own accord. Unknown kinds are ignored by the host. */
typedef int32_t berth_event_kind;
enum {
  /* A container's first process has ended; `exit_code`, `timestamp`, and BERTH_EVENT_OOM_KILLED in
   * `flags`. Emitted after the exit is durable, at least once; the host drops repeats. */
  BERTH_EVENT_CONTAINER_EXITED = 1,
  /* The kernel's OOM killer ended a process of the container, which may go on. */
  BERTH_EVENT_CONTAINER_OOM = 2,
  /* The pod's isolation is gone (monitor, VM, shim): nothing in it runs any more. */
  BERTH_EVENT_POD_LOST = 3,
  /* The network's readiness may have changed: a host that keeps what `status` said asks again. */
  BERTH_EVENT_NETWORK_CHANGED = 4
};

enum { BERTH_EVENT_OOM_KILLED = 1u };

typedef struct berth_event {
  size_t size;
  berth_event_kind kind;
  uint32_t flags;
  berth_str pod;
  berth_str container;
  int64_t timestamp; /* CLOCK_REALTIME, nanoseconds */
  int32_t exit_code; /* 128 + signal number when a signal ended it */
  int32_t reserved;
  berth_str message; /* for people; may be empty */
} berth_event;

/* The functions a host offers. `context` is the first argument of each. All may be called from any
 * thread of the plugin between start and the return of stop (see the life cycle for the three that
 * may be called earlier), also during calls of the host into the plugin. */
typedef struct berth_host {
  size_t size;
  uint32_t abi_major;
  uint32_t abi_minor;
  berth_str version;  /* of the host program */
  berth_str instance; /* the configuration's name of this instance, as "runc" in [runtimes.runc] */
  void* context;

  /* Writes to the host's log. Never put credentials into it. Does not block on I/O for long. */
  void (*log)(void* context, berth_log_level level, berth_str message, const berth_pair* fields,
              size_t field_count);

  /* Memory that `release` alone frees; aligned as malloc(3). NULL when there is none. */
  void* (*allocate)(void* context, size_t bytes);
  void (*release)(void* context, void* memory); /* NULL does nothing */

  /* Hands over an event; it is queued and handled later, in order for each pod. Never blocks. */
  void (*emit_event)(void* context, const berth_event* event);

  /* Keeps `state` durably with what the host has on record of a pod that this instance was given,
   * in place of what was kept before: for a runtime the pod itself, for a network the pod's
   * attachment. `object` is the pod's id. A runtime gets it back in pod_recover, a network in
   * detach, check and gc. NOT_FOUND when this instance has no such record (any more), as kinds
   * without such calls never have. Blocks on the host's store. At most 1 MiB. */
  berth_code (*save_state)(void* context, berth_str object, berth_bytes state, berth_error* error);

  /* Finds credentials for a registry host ("registry.example:5000") in the host's configuration
   * and calls `found` at most once, before it returns, on the calling thread. Since 1.1 also for a
   * repository ("registry.example:5000/team/app"): those that name the most of it count.
   * BERTH_NOT_FOUND when there are none. May block on a credential helper, as long as `op` may. */
  berth_code (*get_credentials)(void* context, const berth_op* op, berth_str registry,
                                void (*found)(void* user, const berth_credentials* credentials),
                                void* user, berth_error* error);

  /* A further function table of the host by id and revision, or NULL. Never changes, so ask once.
   */
  const void* (*get_extension)(void* context, berth_str id, uint32_t revision);

  /* Two directories for this instance alone, made by the host before start: one that outlives
   * reboots, and one that does not (tmpfs). A plugin's options for directories have these as their
   * defaults. */
  berth_str root_directory;
  berth_str state_directory;
} berth_host;

/* How many calls a plugin bears at once. Calls about different instances are always parallel. */
typedef int32_t berth_threading;
enum {
  BERTH_THREADING_SERIALIZED = 1, /* one call at a time for an instance */
  BERTH_THREADING_PER_OBJECT = 2, /* one call at a time for a pod, snapshot or reference */
  BERTH_THREADING_PARALLEL = 3    /* any */
};

/* What an examination has found about one thing. Since 1.1. */
typedef int32_t berth_finding_kind;
enum {
  BERTH_FINDING_OK = 1,      /* it is there and works */
  BERTH_FINDING_LIMITED = 2, /* start succeeds, but something does not work, or not yet */
  BERTH_FINDING_REFUSED = 3  /* start fails */
};

typedef struct berth_finding {
  size_t size;
  berth_finding_kind kind;
  int32_t reserved;
  berth_str what;   /* a few words, the same on every host: "OCI runtime" */
  berth_str detail; /* a path, a version, or what is wrong and what to do; see "Who is at fault" */
} berth_finding;

/* Receives findings in the order in which people should read them; copies them. */
typedef struct berth_finding_sink {
  size_t size;
  void* host;
  void (*add)(struct berth_finding_sink* sink, const berth_finding* finding);
} berth_finding_sink;

/* The description a plugin's entry returns; static, constant. */
typedef struct berth_plugin {
  size_t size;
  uint32_t abi_major;      /* BERTH_ABI_MAJOR of the headers it was built with */
  uint32_t abi_minor;      /* BERTH_ABI_MINOR of them */
  uint32_t required_minor; /* the lowest minor of a host it can run on */
  berth_threading threading;
  berth_str name;    /* "snapshotter-overlay" */
  berth_str version; /* of the plugin, semantic versioning */
  berth_str summary; /* one line for people */
  /* What it implements, one of the BERTH_…_INTERFACE ids, and the function table of that id. */
  berth_str interface_id;
  const void* functions;
  /* The options it takes, a JSON array: [{"key": "path", "type": "string", "default":
   * "/usr/sbin/runc", "help": "…"}]. Types: string, integer, number, boolean, array, table. An
   * option without a default is required. `help`, whole sentences, is what `berth config default`
   * explains the option with; `example`, another value, is for `berth config keys`. Empty: none. */
  berth_str options;

  berth_code (*create)(const berth_host* host, void** instance, berth_error* error);
  berth_code (*configure)(void* instance, berth_str options, berth_error* error);
  berth_code (*start)(void* instance, berth_error* error);
  void (*stop)(void* instance);
  void (*destroy)(void* instance);

  /* Optional (may be NULL): a function table for something beyond the interface, or NULL. The host
   * asks once after start and keeps the answer. Ids: berth/extensions.h, or a vendor's own in
   * reverse domain form. */
  const void* (*get_extension)(void* instance, berth_str id, uint32_t revision);

  /* Optional (may be NULL), since 1.1: says what `start` would refuse and what this host lacks, for
   * `berth check` and `berth config check`. Called after configure and in place of start: it starts
   * no thread, changes nothing, and makes no host callback but those allowed before start. Blocks,
   * within what `op` allows. Findings added before a failure count; a failure means that the
   * examination itself was not possible. */
  berth_code (*examine)(void* instance, const berth_op* op, berth_finding_sink* out,
                        berth_error* error);
} berth_plugin;

/* The one exported symbol. Gets the host's ABI version; may return NULL when it cannot run on it.
 */
typedef const berth_plugin* (*berth_plugin_entry_function)(uint32_t abi_major, uint32_t abi_minor);
BERTH_EXPORT const berth_plugin* berth_plugin_entry(uint32_t abi_major, uint32_t abi_minor);

#ifdef __cplusplus
}
#endif
