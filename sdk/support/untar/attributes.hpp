// Owner, mode, extended attributes and times of what has been unpacked.
#pragma once

#include <string_view>
#include <sys/stat.h>

#include <absl/status/status.h>

#include "berth/untar/tar_reader.hpp"

namespace berth::untar {

// Whether the archive's content alone can have caused the error.
bool contentError(int error);
// errnoStatus(), with INVALID_ARGUMENT where contentError().
absl::Status contentFailure(int error, std::string_view doing);

// INVALID_ARGUMENT for user and group ids that the kernel does not have.
absl::Status checkOwner(const Entry& entry);

enum class Times { kSet, kLeave };

// For an open file or directory whose state is `info`. Does no more system calls than needed.
absl::Status setAttributes(int fd, const Entry& entry, const struct stat& info, Times times);

// For links and special files.
absl::Status setAttributesAt(int directory, const std::string& name, const Entry& entry,
                             const struct stat& info);

// A default ACL would change the mode of everything made in the directory later, so that it is set
// last.
bool isSetLast(const Xattr& xattr);
absl::Status setXattr(int fd, const Xattr& xattr);

// Access and modification time at once: layers carry no access times.
struct TimePair {
  explicit TimePair(const timespec& modified) : times{modified, modified} {}
  timespec times[2];
};

}  // namespace berth::untar
