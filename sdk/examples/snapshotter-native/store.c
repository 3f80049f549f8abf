#include "store.h"

#include <berth/helpers.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"
#include "tree.h"

static berth_code failed(berth_error* error, const char* what, const char* path) {
  berth_code code = errno == ENOSPC || errno == EDQUOT ? BERTH_RESOURCE_EXHAUSTED : BERTH_INTERNAL;
  return berth_failf(error, code, "%s %s: %s", what, path, strerror(errno));
}

berth_code native_locate(const native* self, const char* folder, berth_str name, native_path path,
                         berth_error* error) {
  int fit = name.size > 0 && name.size <= 200 && name.data[0] != '.';
  for (size_t i = 0; fit && i < name.size; ++i)
    fit = isalnum((unsigned char)name.data[i]) || strchr(":._-", name.data[i]) != NULL;
  if (!fit)
    return berth_failf(error, BERTH_INVALID_ARGUMENT, "\"%.*s\" is no name for one of the %s",
                       BERTH_ARG(name), folder);
  berth_format(path, sizeof(native_path), "%s/%s/%.*s", self->root, folder, BERTH_ARG(name));
  return BERTH_OK;
}

void native_new(native* self, native_path path) {
  berth_format(path, sizeof(native_path), "%s/new/%u", self->root,
               atomic_fetch_add(&self->next, 1));
}

static berth_code sync_directory(const char* path, berth_error* error) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = fd < 0 ? -1 : syncfs(fd);
  berth_code code = result == 0 ? BERTH_OK : failed(error, "sync", path);
  if (fd >= 0) close(fd);
  return code;
}

berth_code native_publish(const char* from, const char* to, berth_error* error) {
  native_path parent;
  berth_format(parent, sizeof parent, "%.*s", (int)(strrchr(to, '/') - to), to);
  berth_code code = sync_directory(from, error);
  if (code == BERTH_OK && rename(from, to) != 0) code = failed(error, "rename to", to);
  if (code != BERTH_OK) return code;
  return sync_directory(parent, error);
}

berth_code native_discard(native* self, const char* path, berth_error* error) {
  native_path aside;
  native_new(self, aside);
  if (rename(path, aside) != 0) return errno == ENOENT ? BERTH_OK : failed(error, "remove", path);
  return native_remove(aside, error);
}

char* native_read(const char* path) {
  struct stat info;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return NULL;
  char* text = fstat(fd, &info) == 0 ? malloc((size_t)info.st_size + 1) : NULL;
  ssize_t length = text != NULL ? read(fd, text, (size_t)info.st_size) : -1;
  close(fd);
  if (length >= 0) {
    text[length] = 0;
    return text;
  }
  free(text);
  return NULL;
}

berth_code native_write(const char* path, const char* text, size_t size, berth_error* error) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  berth_code code =
      fd < 0 || write(fd, text, size) != (ssize_t)size ? failed(error, "write", path) : BERTH_OK;
  if (fd >= 0) close(fd);
  return code;
}

berth_code native_list(const native* self, const char* folder, berth_name_sink* out,
                       berth_error* error) {
  native_path path;
  berth_format(path, sizeof path, "%s/%s", self->root, folder);
  DIR* directory = opendir(path);
  if (directory == NULL) return failed(error, "list", path);
  for (const struct dirent* entry = readdir(directory); entry != NULL; entry = readdir(directory))
    if (entry->d_name[0] != '.') out->add(out, berth_string(entry->d_name));
  closedir(directory);
  return BERTH_OK;
}

/* After a crash a program that was at work may hold the lock until it has heard of its end. */
static berth_code take_lock(native* self, berth_error* error) {
  enum { PAUSE_MS = 10, PATIENCE_MS = 10000 };
  native_path path;
  berth_format(path, sizeof path, "%s/lock", self->root);
  self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (self->lock < 0) return failed(error, "open", path);
  for (int waited = 0; flock(self->lock, LOCK_EX | LOCK_NB) != 0; waited += PAUSE_MS) {
    if (errno != EWOULDBLOCK && errno != EINTR) return failed(error, "lock", path);
    if (waited >= PATIENCE_MS)
      return berth_failf(error, BERTH_FAILED_PRECONDITION, "%s is in use", self->root);
    poll(NULL, 0, PAUSE_MS);
  }
  return BERTH_OK;
}

void native_close(native* self) {
  if (self->lock >= 0) close(self->lock);
  self->lock = -1;
}

static berth_code open_locked(const native* self, berth_error* error) {
  static const char* const folders[] = {"new", "layers", "snapshots"};
  native_path path;
  berth_format(path, sizeof path, "%s/new", self->root);
  berth_code code = native_remove(path, error);
  for (size_t i = 0; code == BERTH_OK && i < sizeof folders / sizeof folders[0]; ++i) {
    berth_format(path, sizeof path, "%s/%s", self->root, folders[i]);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) code = failed(error, "make", path);
  }
  return code;
}

berth_code native_open(native* self, berth_error* error) {
  if (mkdir(self->root, 0700) != 0 && errno != EEXIST) return failed(error, "make", self->root);
  berth_code code = take_lock(self, error);
  if (code == BERTH_OK) code = open_locked(self, error);
  if (code != BERTH_OK) native_close(self);
  return code;
}

static berth_code unpack(const native* self, const berth_op* op, const char* directory,
                         berth_stream* tar, berth_error* error) {
  /* tar itself refuses names that lead out of the directory, also through links. */
  const char* command[] = {"tar",
                           "--extract",
                           "--file=-",
                           "--directory",
                           directory,
                           "--numeric-owner",
                           "--same-owner",
                           "--preserve-permissions",
                           "--delay-directory-restore",
                           "--xattrs",
                           "--xattrs-include=*",
                           "--xattrs-exclude=security.selinux",
                           "--xattrs-exclude=trusted.overlay.*",
                           "--warning=no-timestamp",
                           "--warning=no-unknown-keyword",
                           NULL};
  return native_run(op, command, self->lock, tar, BERTH_INVALID_ARGUMENT, error);
}

static berth_code make_layer(const native* self, const berth_op* op, const char* directory,
                             berth_stream* tar, berth_usage* usage, berth_error* error) {
  native_path path;
  char text[64];
  if (mkdir(directory, 0700) != 0) return failed(error, "make", directory);
  berth_format(path, sizeof path, "%s/fs", directory);
  if (mkdir(path, 0755) != 0 || chmod(path, 0755) != 0) return failed(error, "make", path);
  berth_code code = unpack(self, op, path, tar, error);
  if (code == BERTH_OK) code = native_measure(op, path, usage, error);
  if (code != BERTH_OK) return code;
  int length =
      snprintf(text, sizeof text, "%" PRIu64 " %" PRIu64 "\n", usage->bytes, usage->inodes);
  berth_format(path, sizeof path, "%s/usage", directory);
  return native_write(path, text, (size_t)length, error);
}

berth_code native_layer_apply(native* self, const berth_op* op, const berth_layer* layer,
                              berth_stream* tar, berth_usage* usage, berth_error* error) {
  native_path target;
  native_path fresh;
  berth_code code = native_locate(self, "layers", layer->diff_id, target, error);
  if (code != BERTH_OK) return code;
  if (access(target, F_OK) == 0) return native_layer_usage(self, layer, usage, error);
  op->stage(op, layer->diff_id);
  native_new(self, fresh);
  code = make_layer(self, op, fresh, tar, usage, error);
  if (code == BERTH_OK) code = native_publish(fresh, target, error);
  if (code == BERTH_OK) return code;
  native_remove(fresh, NULL);
  /* Another image may have brought it meanwhile. */
  return access(target, F_OK) == 0 ? native_layer_usage(self, layer, usage, error) : code;
}

berth_code native_layer_usage(const native* self, const berth_layer* layer, berth_usage* usage,
                              berth_error* error) {
  native_path path;
  berth_code code = native_locate(self, "layers", layer->diff_id, path, error);
  if (code != BERTH_OK) return code;
  strncat(path, "/usage", sizeof path - strlen(path) - 1);
  char* text = native_read(path);
  const int found =
      text != NULL ? sscanf(text, "%" SCNu64 " %" SCNu64, &usage->bytes, &usage->inodes) : 0;
  free(text);
  if (found == 2) return BERTH_OK;
  return berth_failf(error, BERTH_NOT_FOUND, "layer %.*s is not unpacked",
                     BERTH_ARG(layer->diff_id));
}
