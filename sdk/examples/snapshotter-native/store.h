/* Where layers and snapshots lie:
 *
 *     ROOT/layers/DIFF-ID/fs       a layer's files, whiteouts as they came
 *     ROOT/layers/DIFF-ID/usage    "BYTES INODES"
 *     ROOT/snapshots/KEY/fs        a snapshot's files
 *     ROOT/snapshots/KEY/record    what it was made of
 *     ROOT/new/NUMBER              what is being made, or removed: thrown away at the start
 *     ROOT/lock                    held by who writes here
 *
 * A thing is there once it has been renamed from `new`, and gone once it is back in there. */
#ifndef NATIVE_STORE_H
#define NATIVE_STORE_H

#include <berth/plugin.h>
#include <berth/snapshotter.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct native {
  const berth_host* host;
  char root[PATH_MAX / 4]; /* leaves room for all that is below it */
  atomic_uint next;        /* names in `new` */
  int lock;                /* ROOT/lock; -1: not started */
  /* Held for reading while a snapshot is made of layers, and for writing while a layer goes. */
  pthread_rwlock_t layers_in_use;
} native;

typedef char native_path[PATH_MAX];

/* A path in the store; `name` is a diff ID or a key, and must be fit for a file's name. */
berth_code native_locate(const native* self, const char* folder, berth_str name, native_path path,
                         berth_error* error);
/* A path in `new`, which nothing has. */
void native_new(native* self, native_path path);
/* Makes what was prepared at `from` visible at `to`, durably. */
berth_code native_publish(const char* from, const char* to, berth_error* error);
/* Makes `path` invisible at once, then removes it; without it nothing happens. */
berth_code native_discard(native* self, const char* path, berth_error* error);
/* What a file holds, with a NUL at the end; NULL when it cannot be read. To be freed. */
char* native_read(const char* path);
berth_code native_write(const char* path, const char* text, size_t size, berth_error* error);
/* The names in a folder of the store. */
berth_code native_list(const native* self, const char* folder, berth_name_sink* out,
                       berth_error* error);
/* Takes the lock, makes the folders and throws away what was unfinished. */
berth_code native_open(native* self, berth_error* error);
/* Gives the lock back. Idempotent. */
void native_close(native* self);

berth_code native_layer_apply(native* self, const berth_op* op, const berth_layer* layer,
                              berth_stream* tar, berth_usage* usage, berth_error* error);
berth_code native_layer_usage(const native* self, const berth_layer* layer, berth_usage* usage,
                              berth_error* error);

/* Snapshots (snapshots.c). */
berth_code native_prepare(native* self, const berth_op* op, const berth_snapshot_spec* spec,
                          berth_error* error);
berth_code native_mount(const native* self, berth_str key, berth_str target, berth_error* error);
berth_code native_unmount(const native* self, berth_str key, berth_str target, berth_error* error);
berth_code native_snapshot_usage(const native* self, const berth_op* op, berth_str key,
                                 berth_usage* usage, berth_error* error);
berth_code native_snapshot_remove(native* self, berth_str key, berth_error* error);
berth_code native_layer_remove(native* self, const berth_layer* layer, berth_error* error);

#endif
