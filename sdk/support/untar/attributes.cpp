#include "attributes.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/xattr.h>
#include <unistd.h>

#include "berth/support/status.hpp"

namespace berth::untar {

using support::errnoStatus;
using support::strCat;

namespace {

constexpr mode_t kModeBits = 07777;

bool isLeftOut(std::string_view name) {
  return name.starts_with("trusted.overlay.") || name == "security.selinux";
}

absl::Status xattrFailure(int error, const Xattr& xattr) {
  // A file system without such attributes still makes a usable layer.
  if (error == EOPNOTSUPP) return absl::OkStatus();
  const std::string doing = strCat("set the extended attribute ", inQuotes(xattr.name), " of ",
                                   xattr.value.size(), " bytes");
  if (error == ERANGE || error == E2BIG || error == EINVAL)
    return absl::InvalidArgumentError(strCat(doing, ": ", ::strerrordesc_np(error)));
  return errnoStatus(error, doing);
}

// setxattr() with AT_EMPTY_PATH is newer than the kernels to run on; the descriptor's link in proc
// names links and special files without opening them.
absl::Status setXattrsAt(int directory, const std::string& name, const Entry& entry) {
  for (const Xattr& xattr : entry.xattrs) {
    if (isLeftOut(xattr.name)) continue;
    const std::string path = strCat("/proc/self/fd/", directory, "/", name);
    if (::lsetxattr(path.c_str(), xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) ==
        0)
      continue;
    // user.* exists on files and directories alone.
    if (errno == EPERM && xattr.name.starts_with("user.")) continue;
    BERTH_RETURN_IF_ERROR(xattrFailure(errno, xattr));
  }
  return absl::OkStatus();
}

}  // namespace

bool contentError(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ELOOP:
    case EEXIST:
    case ENAMETOOLONG:
    case EINVAL:
    case EXDEV:
    case EMLINK:
    case EFBIG:
    case EILSEQ:
    case EOVERFLOW:
      return true;
    default:
      return false;
  }
}

absl::Status contentFailure(int error, std::string_view doing) {
  if (!contentError(error)) return errnoStatus(error, doing);
  return absl::InvalidArgumentError(strCat(doing, ": ", ::strerrordesc_np(error)));
}

absl::Status checkOwner(const Entry& entry) {
  // The highest id stands for "leave it" in chown(2).
  constexpr uint64_t kMaximum = UINT32_MAX - 1;
  if (entry.uid <= kMaximum && entry.gid <= kMaximum) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat("the owner ", entry.uid, ":", entry.gid, " is beyond the highest id, ", kMaximum));
}

bool isSetLast(const Xattr& xattr) {
  return xattr.name == "system.posix_acl_default";
}

absl::Status setXattr(int fd, const Xattr& xattr) {
  if (isLeftOut(xattr.name)) return absl::OkStatus();
  if (::fsetxattr(fd, xattr.name.c_str(), xattr.value.data(), xattr.value.size(), 0) == 0)
    return absl::OkStatus();
  return xattrFailure(errno, xattr);
}

absl::Status setAttributes(int fd, const Entry& entry, const struct stat& info, Times times) {
  if ((info.st_uid != entry.uid || info.st_gid != entry.gid) &&
      ::fchown(fd, static_cast<uid_t>(entry.uid), static_cast<gid_t>(entry.gid)) != 0)
    return errnoStatus(errno, "set the owner");
  // After the owner, which clears set-id bits; those are never there before this.
  if ((info.st_mode & kModeBits) != entry.mode && ::fchmod(fd, entry.mode) != 0)
    return errnoStatus(errno, "set the mode");
  // Changing the owner also drops security.capability.
  for (const Xattr& xattr : entry.xattrs)
    if (!isSetLast(xattr)) BERTH_RETURN_IF_ERROR(setXattr(fd, xattr));
  if (times == Times::kSet && ::futimens(fd, TimePair(entry.modified).times) != 0)
    return contentFailure(errno, "set the time");
  return absl::OkStatus();
}

absl::Status setAttributesAt(int directory, const std::string& name, const Entry& entry,
                             const struct stat& info) {
  if ((info.st_uid != entry.uid || info.st_gid != entry.gid) &&
      ::fchownat(directory, name.c_str(), static_cast<uid_t>(entry.uid),
                 static_cast<gid_t>(entry.gid), AT_SYMLINK_NOFOLLOW) != 0)
    return errnoStatus(errno, "set the owner");
  if (!S_ISLNK(info.st_mode) && (info.st_mode & kModeBits) != entry.mode &&
      ::fchmodat(directory, name.c_str(), entry.mode, 0) != 0)
    return errnoStatus(errno, "set the mode");
  BERTH_RETURN_IF_ERROR(setXattrsAt(directory, name, entry));
  if (::utimensat(directory, name.c_str(), TimePair(entry.modified).times, AT_SYMLINK_NOFOLLOW) !=
      0)
    return contentFailure(errno, "set the time");
  return absl::OkStatus();
}

}  // namespace berth::untar
