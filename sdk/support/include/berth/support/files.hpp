// Files and directories: whole-file reads, durable writes, safe removal.
// All functions block on the file system, may be called from any thread, and name the path in
// their errors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::support {

// Opens with O_CLOEXEC. NOT_FOUND when the path does not exist.
absl::StatusOr<Fd> openFile(const std::string& path, int flags, mode_t mode = 0644);

// Opens below `root` as if that were "/": neither "..", absolute links nor links into /proc lead
// out of it (openat2(2), RESOLVE_IN_ROOT). NOT_FOUND when the path does not exist, or is to lie
// below a file. `what` names it in errors.
absl::StatusOr<Fd> openInRoot(const Fd& root, const std::string& path, int flags,
                              std::string_view what);

// Opens an absolute path of which no part is a link any more: FAILED_PRECONDITION otherwise.
absl::StatusOr<Fd> openWithoutLinks(const std::string& path, int flags);

// The whole content; RESOURCE_EXHAUSTED past `limit` bytes. Works for /proc and /sys.
absl::StatusOr<std::string> readFile(const std::string& path, size_t limit = 64u << 20);

// Writes in place without truncation or creation: for control files of cgroup, proc and sys.
absl::Status writeControlFile(const std::string& path, std::string_view content);

enum class Durability {
  kVisible,  // survives the process: written beside and renamed
  kDurable,  // survives a power cut too: file and directory synced
};
// Replaces `path` at once: readers see the old or the new content, never a part. The file gets
// exactly `mode`, whatever the umask. A link at `path` is itself replaced.
absl::Status replaceFile(const std::string& path, std::string_view content, mode_t mode,
                         Durability durability);

// Removes what replacements in `directory` have left that a crash cut off. Nothing may be replacing
// anything in it meanwhile. A missing directory is success.
absl::Status removeTemporaries(const std::string& directory);

// mkdir -p. Directories that exist keep their mode; the umask applies to new ones.
absl::Status makeDirectories(const std::string& path, mode_t mode = 0755);

// Removes a tree without following links or crossing into mounts; a missing path is success. Needs
// neither stack nor descriptors in proportion to the depth. Stops at the first failure; a mount
// point, at `path` itself or below, is FAILED_PRECONDITION.
absl::Status removeTree(const std::string& path);

// Removes a file or an empty directory; a missing path is success.
absl::Status removePath(const std::string& path);

// Names in a directory, without "." and "..", sorted. NOT_FOUND when it does not exist.
absl::StatusOr<std::vector<std::string>> listDirectory(const std::string& path);

// Follows links: a link to nowhere does not exist.
bool pathExists(const std::string& path);

// Writes everything, resuming after EINTR and short writes.
absl::Status writeAll(int fd, std::string_view data);

}  // namespace berth::support
