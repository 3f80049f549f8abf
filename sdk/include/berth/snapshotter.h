/* Berth plugin ABI 1: snapshotters. A snapshotter keeps unpacked image layers and makes root
 * filesystems from them.
 *
 * A layer is named by its diff ID, the digest of the uncompressed tar (OCI image spec, "Layer
 * DiffID"), and by its chain ID, which also names all layers below it ("Layer ChainID"). Its tar
 * follows "Image Layer Filesystem Changeset": entries, whiteouts, opaque whiteouts.
 *
 * Everything that removes is idempotent; unknown keys are already gone (BERTH_OK).
 * Objects for BERTH_THREADING_PER_OBJECT are layers and snapshots. */
#pragma once

#include "berth/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define BERTH_SNAPSHOTTER_INTERFACE "berth.snapshotter/1"

enum {
  /* layer_apply does not need the parent to be there: layers of an image are applied in any order
   * and at the same time. */
  BERTH_SNAPSHOTTER_INDEPENDENT_LAYERS = 1u << 0,
  /* snapshot_mount can map ids for user namespaces. */
  BERTH_SNAPSHOTTER_ID_MAPPING = 1u << 1
};

typedef struct berth_layer {
  size_t size;
  berth_str chain_id;
  berth_str parent_chain_id; /* empty for the lowest layer */
  berth_str diff_id;
} berth_layer;

typedef struct berth_usage {
  size_t size;
  uint64_t bytes; /* on disk, as du(1) counts */
  uint64_t inodes;
} berth_usage;

typedef struct berth_name_sink {
  size_t size;
  void* host;
  void (*add)(struct berth_name_sink* sink, berth_str name);
} berth_name_sink;

typedef struct berth_snapshot_spec {
  size_t size;
  berth_str key;             /* unique among live snapshots */
  const berth_layer* layers; /* lowest first; may be empty */
  size_t layer_count;
  int32_t read_only; /* not 0: a view of the layers, without a writable one above */
  int32_t reserved;
  const berth_id_mapping* uid_mappings; /* user namespace of the container; may be NULL */
  size_t uid_mapping_count;
  const berth_id_mapping* gid_mappings;
  size_t gid_mapping_count;
  berth_str selinux_label; /* mount label; may be empty */
} berth_snapshot_spec;

typedef struct berth_snapshotter {
  size_t size;

  /* BERTH_SNAPSHOTTER_ bits on this host. Asked once after start. */
  uint32_t (*flags)(void* instance);

  /* Unpacks a layer from its uncompressed tar. The layer is there, whole and durable, or not at
   * all. When it is there already the stream is not read and the call succeeds. Two calls for one
   * layer at the same time are allowed: one wins, both succeed. Entries that leave the layer's
   * root are refused with INVALID_ARGUMENT. Fills `usage` (size set by the caller). */
  berth_code (*layer_apply)(void* instance, const berth_op* op, const berth_layer* layer,
                            berth_stream* tar, berth_usage* usage, berth_error* error);
  /* BERTH_NOT_FOUND when it is not there (whole). */
  berth_code (*layer_usage)(void* instance, const berth_op* op, const berth_layer* layer,
                            berth_usage* usage, berth_error* error);
  /* FAILED_PRECONDITION while a snapshot uses it. */
  berth_code (*layer_remove)(void* instance, const berth_op* op, const berth_layer* layer,
                             berth_error* error);
  /* The names of all whole layers: diff IDs with independent layers, else chain IDs. */
  berth_code (*layer_list)(void* instance, const berth_op* op, berth_name_sink* out,
                           berth_error* error);

  /* Makes a snapshot above layers that are there. Repeating it with the same key and layers
   * succeeds; with others it is ALREADY_EXISTS. */
  berth_code (*snapshot_prepare)(void* instance, const berth_op* op,
                                 const berth_snapshot_spec* spec, berth_error* error);
  /* Mounts it on an existing directory, in the caller's mount namespace. Repeating it succeeds. A
   * prepared snapshot can be mounted again after a reboot. */
  berth_code (*snapshot_mount)(void* instance, const berth_op* op, berth_str key, berth_str target,
                               berth_error* error);
  berth_code (*snapshot_unmount)(void* instance, const berth_op* op, berth_str key,
                                 berth_str target, berth_error* error);
  /* Usage of the writable layer alone. */
  berth_code (*snapshot_usage)(void* instance, const berth_op* op, berth_str key,
                               berth_usage* usage, berth_error* error);
  /* Frees it; it must not be mounted (FAILED_PRECONDITION). */
  berth_code (*snapshot_remove)(void* instance, const berth_op* op, berth_str key,
                                berth_error* error);
  berth_code (*snapshot_list)(void* instance, const berth_op* op, berth_name_sink* out,
                              berth_error* error);

  /* Writes the directory whose filesystem holds layers and snapshots, and fills their sum. */
  berth_code (*filesystem)(void* instance, const berth_op* op, berth_sink* path, berth_usage* usage,
                           berth_error* error);
} berth_snapshotter;

#ifdef __cplusplus
}
#endif
