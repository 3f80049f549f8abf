// System calls that change what outlives the process, each a durable step (durable.hpp): as the
// call of that name, errno included. Elsewhere these calls are not made directly; a test of the
// sources sees to that (tests/crash/test_sources.py).
//
// `subject` is what the step is listed as in place of the path, for the many of a whole tree.
#pragma once

#include <cstdio>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/support/durable.hpp"

namespace berth::support::steps {

// What one step of many in a tree or a layer is listed as.
inline constexpr const char* kOfTree = "(tree)";
inline constexpr const char* kOfLayer = "(layer)";

// Tells of a call that succeeded; gives its result.
inline int told(int result, const char* primitive, const char* subject) {
  if (result >= 0) durableStep(primitive, subject);
  return result;
}
inline const char* either(const char* subject, const char* path) {
  return subject != nullptr ? subject : path;
}

// open(2) with O_CREAT added.
inline int create(const char* path, int flags, mode_t mode) {
  return told(::open(path, flags | O_CREAT, mode), "create", path);
}
inline int createat(int directory, const char* path, int flags, mode_t mode,
                    const char* subject = nullptr) {
  return told(::openat(directory, path, flags | O_CREAT, mode), "create", either(subject, path));
}
inline int mkdir(const char* path, mode_t mode) {
  return told(::mkdir(path, mode), "mkdir", path);
}
inline int mkdirat(int directory, const char* path, mode_t mode, const char* subject = nullptr) {
  return told(::mkdirat(directory, path, mode), "mkdir", either(subject, path));
}
inline int rmdir(const char* path) {
  return told(::rmdir(path), "rmdir", path);
}
inline int rename(const char* from, const char* to) {
  return told(::rename(from, to), "rename", to);
}
inline int renameat(int fromDirectory, const char* from, int toDirectory, const char* to) {
  return told(::renameat(fromDirectory, from, toDirectory, to), "rename", to);
}
inline int unlink(const char* path) {
  return told(::unlink(path), "unlink", path);
}
inline int unlinkat(int directory, const char* path, int flags, const char* subject = nullptr) {
  return told(::unlinkat(directory, path, flags), (flags & AT_REMOVEDIR) != 0 ? "rmdir" : "unlink",
              either(subject, path));
}
inline int symlink(const char* target, const char* path) {
  return told(::symlink(target, path), "symlink", path);
}
inline int symlinkat(const char* target, int directory, const char* path,
                     const char* subject = nullptr) {
  return told(::symlinkat(target, directory, path), "symlink", either(subject, path));
}
inline int linkat(int fromDirectory, const char* from, int directory, const char* path,
                  const char* subject = nullptr) {
  return told(::linkat(fromDirectory, from, directory, path, 0), "link", either(subject, path));
}
inline int mknodat(int directory, const char* path, mode_t mode, dev_t device,
                   const char* subject = nullptr) {
  return told(::mknodat(directory, path, mode, device), "mknod", either(subject, path));
}
inline int mount(const char* source, const char* target, const char* type, unsigned long flags,
                 const void* data) {
  return told(::mount(source, target, type, flags, data), "mount", target);
}
inline int attachMount(int mount, const char* target) {
  return told(::move_mount(mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH), "attach mount",
              target);
}
inline int umount2(const char* target, int flags) {
  return told(::umount2(target, flags), "unmount", target);
}

}  // namespace berth::support::steps
