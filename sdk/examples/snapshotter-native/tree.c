#include "tree.h"

#include <berth/helpers.h>
#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool.h"

#define WHITEOUT ".wh."
#define OPAQUE ".wh..wh..opq"

static FTS* open_tree(const char* path) {
  char* paths[] = {(char*)path, NULL};
  return fts_open(paths, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
}

static berth_code failed(berth_error* error, const char* what, const char* path) {
  berth_code code = errno == ENOSPC || errno == EDQUOT || errno == ENOMEM ? BERTH_RESOURCE_EXHAUSTED
                                                                          : BERTH_INTERNAL;
  return berth_failf(error, code, "%s %s: %s", what, path, strerror(errno));
}

/* Inodes with several links, of which each is met as often. */
typedef struct links {
  ino_t* items;
  size_t count;
  size_t capacity;
} links;

/* Not 0 when it is new. */
static bool remember(links* known, ino_t inode) {
  for (size_t i = 0; i < known->count; ++i)
    if (known->items[i] == inode) return false;
  if (known->count == known->capacity) {
    size_t capacity = known->capacity == 0 ? 64 : known->capacity * 2;
    ino_t* more = realloc(known->items, capacity * sizeof *more);
    if (more == NULL) return true; /* counted twice then */
    known->items = more;
    known->capacity = capacity;
  }
  known->items[known->count++] = inode;
  return true;
}

berth_code native_measure(const berth_op* op, const char* path, berth_usage* usage,
                          berth_error* error) {
  links known = {NULL, 0, 0};
  berth_code code = BERTH_OK;
  usage->bytes = 0;
  usage->inodes = 0;
  FTS* tree = open_tree(path);
  if (tree == NULL) return failed(error, "measure", path);
  for (FTSENT* entry = fts_read(tree); entry != NULL; entry = fts_read(tree)) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS) continue;
    const struct stat* info = entry->fts_statp;
    if (!S_ISDIR(info->st_mode) && info->st_nlink > 1 && !remember(&known, info->st_ino)) continue;
    usage->bytes += (uint64_t)info->st_blocks * 512;
    usage->inodes += 1;
    if (usage->inodes % 1024 == 0 && (code = native_wanted(op, error)) != BERTH_OK) break;
  }
  fts_close(tree);
  free(known.items);
  return code;
}

berth_code native_remove(const char* path, berth_error* error) {
  struct stat info;
  if (lstat(path, &info) != 0) return errno == ENOENT ? BERTH_OK : failed(error, "remove", path);
  if (!S_ISDIR(info.st_mode)) return unlink(path) == 0 ? BERTH_OK : failed(error, "remove", path);
  berth_code code = BERTH_OK;
  FTS* tree = open_tree(path);
  if (tree == NULL) return failed(error, "remove", path);
  for (FTSENT* entry = fts_read(tree); entry != NULL; entry = fts_read(tree)) {
    if (entry->fts_info == FTS_D) continue;
    int result = entry->fts_info == FTS_DP ? rmdir(entry->fts_path) : unlink(entry->fts_path);
    /* The rest goes all the same; the first reason is told. */
    if (result != 0 && errno != ENOENT && code == BERTH_OK)
      code = failed(error, "remove", entry->fts_path);
  }
  fts_close(tree);
  return code;
}

/* What is in a directory, but not the directory. */
static berth_code empty(const char* path, berth_error* error) {
  struct stat info;
  if (lstat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return BERTH_OK;
  berth_code code = BERTH_OK;
  FTS* tree = open_tree(path);
  if (tree == NULL) return failed(error, "empty", path);
  for (FTSENT* entry = fts_read(tree); entry != NULL && code == BERTH_OK; entry = fts_read(tree)) {
    if (entry->fts_level != 1 || entry->fts_info == FTS_DP) continue;
    char child[PATH_MAX];
    berth_format(child, sizeof child, "%s", entry->fts_path);
    fts_set(tree, entry, FTS_SKIP);
    code = native_remove(child, error);
  }
  fts_close(tree);
  return code;
}

/* One entry of a layer: makes room for it in the target. Parents come first, so that no part of the
 * way to it is a link in the target. */
static berth_code make_room(const FTSENT* entry, const char* relative, const char* target,
                            berth_error* error) {
  char path[PATH_MAX];
  const size_t parent = strlen(relative) - entry->fts_namelen;
  if (strcmp(entry->fts_name, OPAQUE) == 0) {
    berth_format(path, sizeof path, "%s%.*s", target, (int)parent, relative);
    return empty(path, error);
  }
  if (strncmp(entry->fts_name, WHITEOUT, strlen(WHITEOUT)) == 0) {
    berth_format(path, sizeof path, "%s%.*s%s", target, (int)parent, relative,
                 entry->fts_name + strlen(WHITEOUT));
    const char* name = path + strlen(target) + parent;
    if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
      return berth_failf(error, BERTH_INVALID_ARGUMENT, "the whiteout %s names nothing", relative);
    return native_remove(path, error);
  }
  struct stat info;
  berth_format(path, sizeof path, "%s%s", target, relative);
  if (lstat(path, &info) != 0) return BERTH_OK;
  const bool same = S_ISDIR(info.st_mode) && entry->fts_info == FTS_D;
  return same ? BERTH_OK : native_remove(path, error);
}

static berth_code remove_whiteout(const FTSENT* entry, const char* relative, const char* target,
                                  berth_error* error) {
  char path[PATH_MAX];
  if (strncmp(entry->fts_name, WHITEOUT, strlen(WHITEOUT)) != 0) return BERTH_OK;
  berth_format(path, sizeof path, "%s%s", target, relative);
  return native_remove(path, error);
}

typedef berth_code visit(const FTSENT* entry, const char* relative, const char* target,
                         berth_error* error);

static berth_code walk(const char* layer, const char* target, visit* each, berth_error* error) {
  berth_code code = BERTH_OK;
  FTS* tree = open_tree(layer);
  if (tree == NULL) return failed(error, "read", layer);
  for (FTSENT* entry = fts_read(tree); entry != NULL && code == BERTH_OK; entry = fts_read(tree)) {
    if (entry->fts_info == FTS_DP || entry->fts_level == 0) continue;
    if (strlen(target) + entry->fts_pathlen - strlen(layer) >= PATH_MAX) {
      code = berth_failf(error, BERTH_INVALID_ARGUMENT, "a path of the layer is too long");
    } else {
      code = each(entry, entry->fts_path + strlen(layer), target, error);
    }
  }
  fts_close(tree);
  return code;
}

berth_code native_merge(const berth_op* op, int lock, const char* layer, const char* target,
                        berth_error* error) {
  const char* copy[] = {"cp",
                        "--archive",
                        "--reflink=auto",
                        "--no-target-directory",
                        "--remove-destination",
                        "--",
                        layer,
                        target,
                        NULL};
  berth_code code = walk(layer, target, make_room, error);
  if (code == BERTH_OK) code = native_run(op, copy, lock, NULL, BERTH_INTERNAL, error);
  if (code == BERTH_OK) code = walk(layer, target, remove_whiteout, error);
  return code;
}
