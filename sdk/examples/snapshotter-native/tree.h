/* Trees of files. None of these follows links or crosses into other file systems. */
#ifndef NATIVE_TREE_H
#define NATIVE_TREE_H

#include <berth/snapshotter.h>

/* What a tree takes on disk; files with several links count once. */
berth_code native_measure(const berth_op* op, const char* path, berth_usage* usage,
                          berth_error* error);

/* Removes a tree; one that is not there is removed. */
berth_code native_remove(const char* path, berth_error* error);

/* Puts a layer with its whiteouts (OCI image spec, "Image Layer Filesystem Changeset") above what
 * is in `target`; `lock` as in native_run(). */
berth_code native_merge(const berth_op* op, int lock, const char* layer, const char* target,
                        berth_error* error);

#endif
