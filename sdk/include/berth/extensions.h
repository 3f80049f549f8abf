/* Berth plugin ABI 1: optional function tables, found with get_extension by id and revision. A
 * table only grows at its end within a revision. */
#pragma once

#include "berth/plugin.h"
#include "berth/runtime.h"
#include "berth/snapshotter.h"
#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Runtimes: freeze and thaw all processes of a container. Both idempotent. A container that is
 * paused can be killed and removed (SIGKILL ends it), and its pod stopped. */
#define BERTH_EXTENSION_PAUSE "berth.runtime.pause"
typedef struct berth_runtime_pause {
  size_t size;
  berth_code (*pause)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                      berth_error* error);
  berth_code (*resume)(void* instance, const berth_op* op, berth_str pod, berth_str container,
                       berth_error* error);
} berth_runtime_pause;

/* Runtimes: write the state of a running container into a directory, and run a container from such
 * a directory. Who offers this offers BERTH_EXTENSION_PAUSE too.
 *
 * What is in the directory (the image) is the runtime's own business, and the host only moves it:
 * it reads nothing of it and changes nothing. It is whole when `checkpoint` has returned BERTH_OK,
 * may be copied to other paths and hosts, and may be restored any number of times. The host carries
 * the root filesystem over by itself, and gives a restored container one with the same content.
 *
 * Objects for BERTH_THREADING_PER_OBJECT are pods. A container of which a checkpoint or restore is
 * under way may still be killed (container_kill, pod_stop): those must not wait for it, whatever
 * threading is declared, and the call then fails. */
#define BERTH_EXTENSION_CHECKPOINT "berth.runtime.checkpoint"

enum {
  /* The container goes on in the state it was in, running or paused. Without this it has ended once
   * the image is whole, and its exit arrives as an event. */
  BERTH_CHECKPOINT_LEAVE_RUNNING = 1u << 0
};

typedef struct berth_checkpoint_spec {
  size_t size;
  berth_str pod;
  berth_str container;
  berth_str image; /* where to: a directory that exists, is empty and nobody else can read */
  berth_str work;  /* an existing directory, not within `image`, for what people may want to read:
                      logs, statistics */
  uint32_t flags;  /* BERTH_CHECKPOINT_ */
  uint32_t reserved;
} berth_checkpoint_spec;

typedef struct berth_restore_spec {
  size_t size;
  berth_str pod;
  berth_str container; /* created by container_create and never started */
  berth_str image;     /* read only; may be removed once the call has returned */
  berth_str work;      /* as for a checkpoint */
  uint32_t flags;      /* none yet */
  uint32_t reserved;
} berth_restore_spec;

typedef struct berth_runtime_checkpoint {
  size_t size;
  /* The form of the images, as "criu". The host hands a runtime no image of another form. */
  berth_str format;
  /* OK when checkpoints work on this host, else FAILED_PRECONDITION with the reason, in the words
   * of whoever found it. Answers from memory once it has been found out. */
  berth_code (*check)(void* instance, const berth_op* op, berth_error* error);
  /* Blocks, as long as writing the container's memory takes. FAILED_PRECONDITION when the container
   * does not run (a paused one does), or has something that cannot be kept; the message names it.
   * On any failure, cancellation included, the container goes on, and the host removes what is in
   * both directories. A container that was paused may then run: the host resumes it anyway. */
  berth_code (*checkpoint)(void* instance, const berth_op* op, const berth_checkpoint_spec* spec,
                           berth_error* error);
  /* In place of container_start, with the same contract: the container's standard streams, log,
   * terminal, namespaces and resources are those that container_create was given, and on failure it
   * has ended. INVALID_ARGUMENT for an image that is none. Fills `status` (size set by the caller).
   */
  berth_code (*restore)(void* instance, const berth_op* op, const berth_restore_spec* spec,
                        berth_container_status* status, berth_error* error);
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

/* Snapshotters that can tell what a snapshot has changed. */
#define BERTH_EXTENSION_DIFF "berth.snapshotter.diff"
typedef struct berth_snapshotter_diff {
  size_t size;
  /* Writes what the snapshot has on top of the lowest `layers` of its layers: its writable layer,
   * and the layers above those, as one. As an uncompressed tar of a layer (OCI image spec, "Image
   * Layer Filesystem Changeset"), so that layer_apply of it above the lowest `layers` gives the
   * same content. Each thing removed is a whiteout of its own: there are no opaque whiteouts.
   * Owners are as the container sees them. Sockets, which tar does not know, are left out. Whoever
   * writes into the snapshot is to be paused: what changes during the call is ABORTED or written in
   * either state. NOT_FOUND for an unknown key, OUT_OF_RANGE when it has fewer layers. */
  berth_code (*diff)(void* instance, const berth_op* op, berth_str key, uint32_t layers,
                     berth_sink* tar, berth_error* error);
} berth_snapshotter_diff;

/* Snapshotters that can tell whether what they keep is what it was. */
#define BERTH_EXTENSION_VERIFY "berth.snapshotter.verify"

enum {
  /* Without reading the content of files: that they are there, their sizes, modes and owners. */
  BERTH_VERIFY_QUICK = 1u << 0
};

typedef struct berth_snapshotter_verify {
  size_t size;
  /* Compares a layer with what was unpacked. Each difference is a finding of the kind
   * BERTH_FINDING_REFUSED, whose `what` is the path within the layer, empty for the layer as a
   * whole; after some tens, one finding may stand for all others. BERTH_FINDING_LIMITED: something
   * cannot be compared, and why. BERTH_OK once all has been looked at, whatever was found. The call
   * reads as much as the layer holds, and holds up no other; NOT_FOUND when the layer is not there,
   * or was removed meanwhile. Another failure says nothing of the layer. */
  berth_code (*layer_verify)(void* instance, const berth_op* op, const berth_layer* layer,
                             uint32_t flags, berth_finding_sink* out, berth_error* error);
  /* The same of a snapshot: that it can be mounted. What a container has written cannot be
   * compared with anything. */
  berth_code (*snapshot_verify)(void* instance, const berth_op* op, berth_str key, uint32_t flags,
                                berth_finding_sink* out, berth_error* error);
  /* As layer_remove, also while snapshots use the layer: it is not listed any more, also after a
   * restart, and the next layer_apply unpacks it anew. Snapshots that are mounted keep what they
   * have. */
  berth_code (*layer_drop)(void* instance, const berth_op* op, const berth_layer* layer,
                           berth_error* error);
  /* What is there and is neither used nor offered because it is damaged or not understood: `what`
   * is its name, `detail` the reason. */
  berth_code (*set_aside)(void* instance, const berth_op* op, berth_finding_sink* out,
                          berth_error* error);
} berth_snapshotter_verify;

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
