/* Berth plugin ABI 1: optional function tables, found with get_extension by id and revision. A
 * table only grows at its end within a revision. */
#pragma once

#include "berth/runtime.h"
#include "berth/snapshotter.h"
#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runtimes: freeze and thaw all processes of a container. Both idempotent. */
#define BERTH_EXTENSION_PAUSE "berth.runtime.pause"
typedef struct berth_runtime_pause {
  size_t size;
  berth_code (*pause)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                      berth_error* error);
  berth_code (*resume)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                       berth_error* error);
} berth_runtime_pause;

/* Runtimes: write a container's state to a directory, and run one from it. */
#define BERTH_EXTENSION_CHECKPOINT "berth.runtime.checkpoint"
typedef struct berth_runtime_checkpoint {
  size_t size;
  /* OK when checkpoints work on this host, else FAILED_PRECONDITION with the reason. */
  berth_code (*check)(void* instance, const berth_op* op, berth_error* error);
  /* `directory` exists and is empty. The container goes on unless `leave_running` is 0. */
  berth_code (*checkpoint)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                           berth_str directory, int32_t leave_running, berth_error* error);
  /* In place of container_start. */
  berth_code (*restore)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                        berth_str directory, berth_container_status* status, berth_error* error);
} berth_runtime_checkpoint;

/* Runtimes: change what a pod as a whole may use (CRI UpdatePodSandboxResources). */
#define BERTH_EXTENSION_POD_RESOURCES "berth.runtime.pod-resources"
typedef struct berth_runtime_pod_resources {
  size_t size;
  berth_code (*update)(void* instance, const berth_op* op, berth_str pod, berth_str resources,
                       berth_str overhead, berth_error* error);
} berth_runtime_pod_resources;

/* Runtimes whose pods' ports cannot be reached through the network namespace. */
#define BERTH_EXTENSION_PORT_FORWARD "berth.runtime.port-forward"
typedef struct berth_runtime_port_forward {
  size_t size;
  /* A connected stream socket, owned by the caller. */
  berth_code (*connect)(void* instance, const berth_op* op, berth_str pod, uint16_t port,
                        int32_t* socket, berth_error* error);
} berth_runtime_port_forward;

/* Snapshotters that mount a layer from where it is stored, without unpacking it first. */
#define BERTH_EXTENSION_REMOTE_LAYERS "berth.snapshotter.remote-layers"
typedef struct berth_remote_layer {
  size_t size;
  berth_str reference;
  const berth_descriptor* descriptor; /* of the compressed layer */
  /* Credentials for the moment; may be called until the call that got this struct returns, and
   * by later calls through berth_host.get_credentials. Never log them. */
  void* user;
  berth_code (*credentials)(void* user,
                            void (*found)(void* found_user, const berth_credentials* credentials),
                            void* found_user, berth_error* error);
} berth_remote_layer;
typedef struct berth_snapshotter_remote_layers {
  size_t size;
  /* In place of layer_apply. UNIMPLEMENTED when this layer cannot be mounted remotely: the host
   * then fetches and applies it. */
  berth_code (*layer_adopt)(void* instance, const berth_op* op, const berth_layer* layer,
                            const berth_remote_layer* remote, berth_usage* usage,
                            berth_error* error);
} berth_snapshotter_remote_layers;

/* Snapshotters that can bound a writable layer. */
#define BERTH_EXTENSION_QUOTA "berth.snapshotter.quota"
typedef struct berth_snapshotter_quota {
  size_t size;
  /* 0 lifts a bound. */
  berth_code (*set)(void* instance, const berth_op* op, berth_str key, uint64_t bytes,
                    uint64_t inodes, berth_error* error);
} berth_snapshotter_quota;

#ifdef __cplusplus
}
#endif
