// Mounts in the caller's mount namespace. All functions may be called from any thread, may block
// on the file system, and name the paths in their errors.
#pragma once

#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

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
