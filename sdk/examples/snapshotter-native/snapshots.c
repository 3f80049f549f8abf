#include <berth/helpers.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store.h"
#include "tool.h"
#include "tree.h"

/* A snapshot's record: "rw" or "ro", then the layers, lowest first, each on a line. Beside it, in
 * `base`, what the layers took when it was made. */

static char* record_of(const berth_snapshot_spec* spec, size_t* size) {
  char* text = NULL;
  FILE* out = open_memstream(&text, size);
  if (out == NULL) return NULL;
  fputs(spec->read_only != 0 ? "ro\n" : "rw\n", out);
  for (size_t i = 0; i < spec->layer_count; ++i) {
    berth_layer layer;
    berth_known(&layer, sizeof layer, berth_at(spec->layers, i));
    fprintf(out, "%.*s\n", BERTH_ARG(layer.diff_id));
  }
  return fclose(out) == 0 ? text : NULL;
}

static void below(native_path path, const char* directory, const char* name) {
  berth_format(path, sizeof(native_path), "%s/%s", directory, name);
}

static berth_code merge_layers(const native* self, const berth_op* op,
                               const berth_snapshot_spec* spec, const char* target,
                               berth_error* error) {
  for (size_t i = 0; i < spec->layer_count; ++i) {
    native_path path;
    native_path files;
    berth_layer layer;
    berth_known(&layer, sizeof layer, berth_at(spec->layers, i));
    berth_code code = native_locate(self, "layers", layer.diff_id, path, error);
    if (code != BERTH_OK) return code;
    below(files, path, "fs");
    if (access(files, F_OK) != 0)
      return berth_failf(error, BERTH_NOT_FOUND, "layer %.*s is not unpacked",
                         BERTH_ARG(layer.diff_id));
    op->stage(op, layer.diff_id);
    code = native_merge(op, self->lock, files, target, error);
    if (code != BERTH_OK) return code;
  }
  return BERTH_OK;
}

static berth_code fill(const native* self, const berth_op* op, const berth_snapshot_spec* spec,
                       const char* directory, berth_error* error) {
  native_path path;
  berth_usage usage;
  char text[64];
  below(path, directory, "fs");
  if (mkdir(directory, 0700) != 0 || mkdir(path, 0755) != 0 || chmod(path, 0755) != 0)
    return berth_failf(error, BERTH_INTERNAL, "make %s: %s", path, strerror(errno));
  berth_code code = merge_layers(self, op, spec, path, error);
  if (code == BERTH_OK) code = native_measure(op, path, &usage, error);
  if (code != BERTH_OK) return code;
  int length = snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 "\n", usage.bytes, usage.inodes);
  below(path, directory, "base");
  code = native_write(path, text, (size_t)length, error);
  size_t size = 0;
  char* record = record_of(spec, &size);
  below(path, directory, "record");
  if (code == BERTH_OK && record != NULL) code = native_write(path, record, size, error);
  free(record);
  return record != NULL ? code : berth_failf(error, BERTH_RESOURCE_EXHAUSTED, "out of memory");
}

/* BERTH_OK when the snapshot is there and of the same layers, NOT_FOUND when it is not there. */
static berth_code compare(const char* directory, const berth_snapshot_spec* spec,
                          berth_error* error) {
  native_path path;
  size_t size = 0;
  below(path, directory, "record");
  char* known = native_read(path);
  if (known == NULL) return BERTH_NOT_FOUND;
  char* wanted = record_of(spec, &size);
  const bool same = wanted != NULL && strcmp(known, wanted) == 0;
  free(known);
  free(wanted);
  return same ? BERTH_OK
              : berth_failf(error, BERTH_ALREADY_EXISTS, "snapshot %.*s is made of other layers",
                            BERTH_ARG(spec->key));
}

berth_code native_prepare(native* self, const berth_op* op, const berth_snapshot_spec* spec,
                          berth_error* error) {
  native_path target;
  native_path fresh;
  berth_code code = native_locate(self, "snapshots", spec->key, target, error);
  if (code == BERTH_OK) code = compare(target, spec, error);
  if (code != BERTH_NOT_FOUND) return code;
  if (spec->uid_mapping_count != 0 || spec->gid_mapping_count != 0)
    return berth_failf(error, BERTH_UNIMPLEMENTED, "ids of files are not mapped");
  native_new(self, fresh);
  /* The record makes the layers used, so that none goes between the copy and it. */
  pthread_rwlock_rdlock(&self->layers_in_use);
  code = fill(self, op, spec, fresh, error);
  if (code == BERTH_OK) code = native_publish(fresh, target, error);
  pthread_rwlock_unlock(&self->layers_in_use);
  if (code != BERTH_OK) native_remove(fresh, NULL);
  return code;
}

static bool same_directory(const char* one, const char* other) {
  struct stat a;
  struct stat b;
  return stat(one, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

berth_code native_mount(const native* self, berth_str key, berth_str target, berth_error* error) {
  native_path directory;
  native_path path;
  native_path at;
  berth_code code = native_locate(self, "snapshots", key, directory, error);
  if (code != BERTH_OK) return code;
  below(path, directory, "record");
  char* record = native_read(path);
  if (record == NULL)
    return berth_failf(error, BERTH_NOT_FOUND, "there is no snapshot %.*s", BERTH_ARG(key));
  const bool read_only = strncmp(record, "ro", 2) == 0;
  free(record);
  below(path, directory, "fs");
  if (!berth_copy(at, sizeof at, target))
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "the target is no path");
  if (same_directory(path, at)) return BERTH_OK;
  if (mount(path, at, NULL, MS_BIND, NULL) != 0)
    return berth_failf(error, BERTH_INTERNAL, "mount %s on %s: %s", path, at, strerror(errno));
  if (read_only && mount(NULL, at, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) != 0) {
    int reason = errno;
    umount2(at, MNT_DETACH | UMOUNT_NOFOLLOW);
    return berth_failf(error, BERTH_INTERNAL, "make %s read-only: %s", at, strerror(reason));
  }
  return BERTH_OK;
}

berth_code native_unmount(const native* self, berth_str key, berth_str target, berth_error* error) {
  native_path directory;
  native_path path;
  native_path at;
  berth_code code = native_locate(self, "snapshots", key, directory, error);
  if (code != BERTH_OK) return code;
  below(path, directory, "fs");
  if (!berth_copy(at, sizeof at, target) || !same_directory(path, at)) return BERTH_OK;
  if (umount2(at, UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) return BERTH_OK;
  return berth_failf(error, errno == EBUSY ? BERTH_FAILED_PRECONDITION : BERTH_INTERNAL,
                     "unmount %s: %s", at, strerror(errno));
}

berth_code native_snapshot_usage(const native* self, const berth_op* op, berth_str key,
                                 berth_usage* usage, berth_error* error) {
  native_path directory;
  native_path path;
  uint64_t bytes = 0;
  uint64_t inodes = 0;
  berth_code code = native_locate(self, "snapshots", key, directory, error);
  if (code != BERTH_OK) return code;
  below(path, directory, "base");
  char* text = native_read(path);
  const int found = text != NULL ? sscanf(text, "%" SCNu64 " %" SCNu64, &bytes, &inodes) : 0;
  free(text);
  if (found != 2)
    return berth_failf(error, BERTH_NOT_FOUND, "there is no snapshot %.*s", BERTH_ARG(key));
  below(path, directory, "fs");
  code = native_measure(op, path, usage, error);
  usage->bytes -= bytes < usage->bytes ? bytes : usage->bytes;
  usage->inodes -= inodes < usage->inodes ? inodes : usage->inodes;
  return code;
}

/* Whether a mount of this mount namespace shows `path`. */
static bool is_mounted(const char* path) {
  char* line = NULL;
  size_t capacity = 0;
  bool found = false;
  FILE* mounts = fopen("/proc/self/mountinfo", "re");
  if (mounts == NULL) return false;
  while (!found && getline(&line, &capacity, mounts) > 0) {
    native_path root;
    native_path point;
    if (sscanf(line, "%*d %*d %*s %4095s %4095s", root, point) != 2) continue;
    /* The root is a path in its file system: an end of the store's path. */
    const size_t length = strlen(root);
    const size_t whole = strlen(path);
    found = length > 1 && length <= whole && strcmp(path + whole - length, root) == 0 &&
            same_directory(point, path) && strcmp(point, path) != 0;
  }
  free(line);
  fclose(mounts);
  return found;
}

berth_code native_snapshot_remove(native* self, berth_str key, berth_error* error) {
  native_path directory;
  native_path path;
  berth_code code = native_locate(self, "snapshots", key, directory, error);
  if (code != BERTH_OK) return code;
  below(path, directory, "fs");
  if (is_mounted(path))
    return berth_failf(error, BERTH_FAILED_PRECONDITION, "snapshot %.*s is mounted",
                       BERTH_ARG(key));
  return native_discard(self, directory, error);
}

/* The key of a snapshot that is made of the layer; to be freed. */
static char* find_user(const native* self, berth_str diff_id) {
  native_path path;
  char line[512];
  char* user = NULL;
  berth_format(path, sizeof path, "%s/snapshots", self->root);
  berth_format(line, sizeof line, "\n%.*s\n", BERTH_ARG(diff_id));
  DIR* directory = opendir(path);
  if (directory == NULL) return NULL;
  for (const struct dirent* entry = readdir(directory); user == NULL && entry != NULL;
       entry = readdir(directory)) {
    berth_format(path, sizeof path, "%s/snapshots/%s/record", self->root, entry->d_name);
    char* record = native_read(path);
    if (record != NULL && strstr(record, line) != NULL) user = strdup(entry->d_name);
    free(record);
  }
  closedir(directory);
  return user;
}

berth_code native_layer_remove(native* self, const berth_layer* layer, berth_error* error) {
  native_path path;
  native_path aside;
  berth_code code = native_locate(self, "layers", layer->diff_id, path, error);
  if (code != BERTH_OK) return code;
  native_new(self, aside);
  pthread_rwlock_wrlock(&self->layers_in_use);
  char* user = find_user(self, layer->diff_id);
  const int gone = user == NULL ? rename(path, aside) : 0;
  const int reason = errno;
  pthread_rwlock_unlock(&self->layers_in_use);
  if (user != NULL) {
    code = berth_failf(error, BERTH_FAILED_PRECONDITION, "layer %.*s is used by snapshot %s",
                       BERTH_ARG(layer->diff_id), user);
    free(user);
    return code;
  }
  if (gone != 0)
    return reason == ENOENT
               ? BERTH_OK
               : berth_failf(error, BERTH_INTERNAL, "remove %s: %s", path, strerror(reason));
  /* Gone for everyone; its files may take their time. */
  return native_remove(aside, error);
}
