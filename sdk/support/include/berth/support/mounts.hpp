// Mounts in the caller's mount namespace. All functions may be called from any thread, may block
// on the file system, and name the paths in their errors.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::support {

enum class MountScope {
  kSingle,     // this mount alone
  kRecursive,  // and all mounts below it
};

// Makes `source` visible at `target` as well. Both must exist and be of the same kind. Flags such
// as read-only are not inherited from the options given here: remount for that.
absl::Status bindMount(const std::string& source, const std::string& target,
                       MountScope scope = MountScope::kSingle);

// mount(2): `flags` are MS_*; `options` is the file system's own text, at most one page.
absl::Status mountFilesystem(const std::string& source, const std::string& target,
                             const std::string& type, unsigned long flags,
                             const std::string& options = {});

// A copy of what is mounted at `path`, a directory or a file there becoming its root: attached
// nowhere, and gone with its descriptor unless attachMount() takes it. A link at `path` is not
// followed. mapMountIds() needs such a copy.
absl::StatusOr<Fd> cloneMount(const std::string& path, MountScope scope = MountScope::kSingle);
// The same of what a descriptor stands for, O_PATH or not; `path` is for messages.
absl::StatusOr<Fd> cloneMount(const Fd& file, const std::string& path,
                              MountScope scope = MountScope::kSingle);

// Shows the mount's files with the owners that the user namespace maps theirs to (mount_setattr(2),
// "ID-mapped mounts"). FAILED_PRECONDITION when the kernel or the file system cannot do it, or the
// mount has been mapped already; `path` is for messages.
absl::Status mapMountIds(const Fd& clone, const std::string& path, int userNamespace,
                         MountScope scope = MountScope::kSingle);

// Mounts and unmounts at what was cloned are no longer seen in the copy, nor those in the copy
// anywhere else.
absl::Status makePrivate(const Fd& clone, const std::string& path, MountScope scope);

// Makes it visible at `target`, of the same kind as its root; a link there is not followed.
absl::Status attachMount(const Fd& mount, const std::string& target);

enum class UnmountMode {
  kNow,   // FAILED_PRECONDITION while it is in use (EBUSY)
  kLazy,  // out of sight at once, gone with its last user
};
// Takes the topmost mount off `target`; a path that is missing or no mount point is success. Links
// are not followed.
absl::Status unmount(const std::string& target, UnmountMode mode);

enum class Propagation { kPrivate, kShared, kSlave, kUnbindable };
absl::Status setPropagation(const std::string& target, Propagation propagation,
                            MountScope scope = MountScope::kSingle);

// False for a missing path. True for the mount point of a dead network or FUSE file system too.
absl::StatusOr<bool> isMountPoint(const std::string& path);

}  // namespace berth::support
