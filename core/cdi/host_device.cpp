#include "cdi/host_device.hpp"

#include <cerrno>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "berth/support/status.hpp"

namespace berth::cdi {
namespace {

using support::strCat;

constexpr mode_t kPermissions = 07777;

std::string typeOf(const struct stat& status) {
  if (S_ISBLK(status.st_mode)) return "b";
  if (S_ISCHR(status.st_mode)) return "c";
  if (S_ISFIFO(status.st_mode)) return "p";
  return "";
}

}  // namespace

absl::StatusOr<HostDevice> resolveDevice(const DeviceNode& node) {
  const std::string& path = node.hostPath.empty() ? node.path : node.hostPath;
  HostDevice device{.type = node.type,
                    .major = node.major.value_or(0),
                    .minor = node.minor.value_or(0),
                    .fileMode = node.fileMode};
  const bool complete = !node.type.empty() && (node.type == "p" || device.major != 0);
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) {
    if (complete) return device;
    if (errno == ENOENT || errno == ENOTDIR)
      return absl::InvalidArgumentError(
          strCat("the device node ", path, " does not exist on this host"));
    return support::errnoStatus(errno, strCat("look at the device node ", path));
  }
  const std::string found = typeOf(status);
  if (!device.fileMode && !found.empty()) device.fileMode = status.st_mode & kPermissions;
  if (complete) return device;
  if (found.empty())
    return absl::InvalidArgumentError(strCat(path, " is no device node on this host"));
  // "u" is a character device too, unbuffered.
  if (device.type.empty()) device.type = found;
  if (device.type != found && !(device.type == "u" && found == "c"))
    return absl::InvalidArgumentError(strCat("the device node ", path, " is of type ", found,
                                             " on this host, not ", device.type));
  if (device.type == "p" || device.major != 0) return device;
  device.major = major(status.st_rdev);
  device.minor = minor(status.st_rdev);
  return device;
}

}  // namespace berth::cdi
