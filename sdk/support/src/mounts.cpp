#include "berth/support/mounts.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "berth/support/status.hpp"
#include "berth/support/steps.hpp"

namespace berth::support {
namespace {

unsigned long recursion(MountScope scope) {
  return scope == MountScope::kRecursive ? static_cast<unsigned long>(MS_REC) : 0UL;
}

unsigned atRecursion(MountScope scope) {
  return scope == MountScope::kRecursive ? static_cast<unsigned>(AT_RECURSIVE) : 0U;
}

absl::StatusOr<Fd> cloneTree(int directory, const char* name, unsigned flags, MountScope scope,
                             const std::string& path) {
  Fd clone(::open_tree(directory, name,
                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags | atRecursion(scope)));
  if (clone) return clone;
  return errnoStatus(errno, strCat("clone the mount of ", path));
}

}  // namespace

absl::Status bindMount(const std::string& source, const std::string& target, MountScope scope) {
  if (steps::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | recursion(scope), nullptr) ==
      0)
    return absl::OkStatus();
  return errnoStatus(errno, strCat("bind-mount ", source, " on ", target));
}

absl::Status mountFilesystem(const std::string& source, const std::string& target,
                             const std::string& type, unsigned long flags,
                             const std::string& options) {
  const char* data = options.empty() ? nullptr : options.c_str();
  if (steps::mount(source.c_str(), target.c_str(), type.c_str(), flags, data) == 0)
    return absl::OkStatus();
  return errnoStatus(errno, strCat("mount ", type, " (", source, ") on ", target));
}

absl::StatusOr<Fd> cloneMount(const std::string& path, MountScope scope) {
  return cloneTree(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, scope, path);
}

absl::StatusOr<Fd> cloneMount(const Fd& file, const std::string& path, MountScope scope) {
  return cloneTree(file.get(), "", AT_EMPTY_PATH, scope, path);
}

absl::Status mapMountIds(const Fd& clone, const std::string& path, int userNamespace,
                         MountScope scope) {
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(userNamespace);
  if (::mount_setattr(clone.get(), "", AT_EMPTY_PATH | atRecursion(scope), &attributes,
                      sizeof attributes) == 0)
    return absl::OkStatus();
  const int error = errno;
  const std::string doing = strCat("map the ids of ", path);
  if (error == EINVAL || error == ENOSYS)
    return absl::FailedPreconditionError(
        strCat(doing, ": this kernel has no ID-mapped mounts of its file system"));
  if (error == EPERM)
    return absl::FailedPreconditionError(
        strCat(doing, ": it is ID-mapped already, or its file system is another namespace's"));
  return errnoStatus(error, doing);
}

absl::Status makePrivate(const Fd& clone, const std::string& path, MountScope scope) {
  mount_attr attributes = {};
  attributes.propagation = MS_PRIVATE;
  if (::mount_setattr(clone.get(), "", AT_EMPTY_PATH | atRecursion(scope), &attributes,
                      sizeof attributes) == 0)
    return absl::OkStatus();
  return errnoStatus(errno, strCat("make the mount of ", path, " private"));
}

absl::Status attachMount(const Fd& mount, const std::string& target) {
  if (steps::attachMount(mount.get(), target.c_str()) == 0) return absl::OkStatus();
  return errnoStatus(errno, strCat("attach the mount to ", target));
}

absl::Status unmount(const std::string& target, UnmountMode mode) {
  const int flags = UMOUNT_NOFOLLOW | (mode == UnmountMode::kLazy ? MNT_DETACH : 0);
  if (steps::umount2(target.c_str(), flags) == 0) return absl::OkStatus();
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR) return absl::OkStatus();
  // EINVAL stands for "no mount point", but also for a mount that is locked by a user namespace.
  if (error == EINVAL) {
    const absl::StatusOr<bool> mounted = isMountPoint(target);
    if (mounted.ok() && !*mounted) return absl::OkStatus();
  }
  return errnoStatus(error, strCat("unmount ", target));
}

absl::Status setPropagation(const std::string& target, Propagation propagation, MountScope scope) {
  unsigned long flag = 0;
  const char* name = "";
  switch (propagation) {
    case Propagation::kPrivate:
      flag = MS_PRIVATE, name = "private";
      break;
    case Propagation::kShared:
      flag = MS_SHARED, name = "shared";
      break;
    case Propagation::kSlave:
      flag = MS_SLAVE, name = "slave";
      break;
    case Propagation::kUnbindable:
      flag = MS_UNBINDABLE, name = "unbindable";
      break;
  }
  if (::mount(nullptr, target.c_str(), nullptr, flag | recursion(scope), nullptr) == 0)
    return absl::OkStatus();
  return errnoStatus(errno, strCat("make the mount ", target, " ", name));
}

absl::StatusOr<bool> isMountPoint(const std::string& path) {
  struct statx info = {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE, &info) ==
      0) {
    if ((info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) == 0)
      return absl::UnimplementedError(
          strCat("look whether ", path, " is a mount point: the kernel is older than Linux 5.8"));
    return (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
  const int error = errno;
  if (error == ENOENT || error == ENOTDIR) return false;
  // What a file system answers whose server or daemon has gone: only a mount can do that.
  if (error == ENOTCONN || error == ESTALE || error == EHOSTDOWN) return true;
  return errnoStatus(error, strCat("look whether ", path, " is a mount point"));
}

}  // namespace berth::support
