#include "cgroup_layout.hpp"

#include <algorithm>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "mountinfo.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr std::string_view kSliceSuffix = ".slice";

std::vector<std::string> split(std::string_view text, char separator) {
  return absl::StrSplit(support::toAbsl(text), separator);
}

bool isController(const std::string& option) {
  static const std::vector<std::string> kFlags = {
      "rw",       "ro",  "xattr",          "clone_children", "none",
      "noprefix", "all", "cpuset_v2_mode", "favordynmods"};
  return std::find(kFlags.begin(), kFlags.end(), option) == kFlags.end() &&
         (option.find('=') == std::string::npos || option.rfind("name=", 0) == 0);
}

absl::Status refuse(std::string_view what, std::string_view name, std::string_view why) {
  return absl::InvalidArgumentError(strCat(what, " \"", name, "\" ", why));
}

// "/a//b/" becomes "/a/b"; the root becomes "".
absl::StatusOr<std::string> cleanPath(std::string_view path, std::string_view what) {
  std::string clean;
  for (const std::string& part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return refuse(what, path, "must not contain \"..\"");
    clean += '/';
    clean += part;
  }
  return clean;
}

std::string_view baseName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

}  // namespace

absl::StatusOr<CgroupLayout> CgroupLayout::parse(std::string_view mountinfo) {
  CgroupLayout layout;
  bool controllersOnV1 = false;
  for (const MountEntry& mount : parseMountinfo(mountinfo)) {
    if (mount.type == "cgroup2") {
      if (!layout.unified_.empty()) continue;
      layout.unified_ = mount.point;
      layout.mountPoints_.push_back(mount.point);
    } else if (mount.type == "cgroup") {
      bool first = true;
      for (const std::string& option : split(mount.options, ',')) {
        if (!isController(option)) continue;
        const bool known =
            std::any_of(layout.controllers_.begin(), layout.controllers_.end(),
                        [&](const auto& controller) { return controller.first == option; });
        // The same hierarchy may be mounted again elsewhere: the first is the host's own.
        if (known) continue;
        layout.controllers_.emplace_back(option, mount.point);
        controllersOnV1 = controllersOnV1 || option.rfind("name=", 0) != 0;
        if (first) layout.mountPoints_.push_back(mount.point);
        first = false;
      }
    }
  }
  if (layout.mountPoints_.empty()) {
    return absl::FailedPreconditionError(
        "find the cgroup hierarchies: no file system of type cgroup or cgroup2 is mounted; mount "
        "one on /sys/fs/cgroup");
  }
  if (!controllersOnV1) {
    layout.mode_ = CgroupMode::kUnified;
  } else {
    layout.mode_ = layout.unified_.empty() ? CgroupMode::kV1 : CgroupMode::kHybrid;
  }
  return layout;
}

absl::StatusOr<CgroupLayout> CgroupLayout::detect() {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile("/proc/self/mountinfo"));
  return parse(text);
}

std::string CgroupLayout::directory(std::string_view controller, std::string_view path) const {
  for (const auto& [name, point] : controllers_) {
    if (name == controller) return strCat(point, path);
  }
  return mode_ == CgroupMode::kUnified ? unifiedDirectory(path) : std::string();
}

std::string CgroupLayout::unifiedDirectory(std::string_view path) const {
  return unified_.empty() ? std::string() : strCat(unified_, path);
}

std::vector<std::string> CgroupLayout::directories(std::string_view path) const {
  std::vector<std::string> result;
  result.reserve(mountPoints_.size());
  for (const std::string& point : mountPoints_) result.push_back(strCat(point, path));
  return result;
}

absl::StatusOr<std::string> expandSlice(std::string_view slice) {
  if (slice == "-.slice") return std::string();
  if (slice.size() <= kSliceSuffix.size() || !slice.ends_with(kSliceSuffix) ||
      slice.find('/') != std::string_view::npos) {
    return refuse("slice", slice, "must be a unit name that ends in \".slice\"");
  }
  const std::string_view name = slice.substr(0, slice.size() - kSliceSuffix.size());
  std::string path;
  std::string prefix;
  for (const std::string& part : split(name, '-')) {
    if (part.empty()) return refuse("slice", slice, "has an empty part between its dashes");
    prefix += prefix.empty() ? part : "-" + part;
    path += strCat("/", prefix, kSliceSuffix);
  }
  return path;
}

absl::StatusOr<std::string> containerCgroup(std::string_view cgroupsPath, CgroupDriver driver) {
  constexpr std::string_view kWhat = "linux.cgroupsPath";
  if (driver == CgroupDriver::kCgroupfs) {
    if (!cgroupsPath.starts_with('/')) return refuse(kWhat, cgroupsPath, "must be absolute");
    BERTH_ASSIGN_OR_RETURN(std::string path, cleanPath(cgroupsPath, kWhat));
    if (path.empty()) return refuse(kWhat, cgroupsPath, "must not be the root");
    return path;
  }
  const std::vector<std::string> parts = split(cgroupsPath, ':');
  if (parts.size() != 3 || parts[2].empty() || cgroupsPath.find('/') != std::string_view::npos) {
    return refuse(kWhat, cgroupsPath,
                  "must have the form \"slice:prefix:name\" with the systemd cgroup driver");
  }
  BERTH_ASSIGN_OR_RETURN(const std::string slice,
                         expandSlice(parts[0].empty() ? "system.slice" : parts[0]));
  const std::string unit = parts[2].ends_with(kSliceSuffix)
                               ? parts[2]
                               : strCat(parts[1], parts[1].empty() ? "" : "-", parts[2], ".scope");
  return strCat(slice, "/", unit);
}

absl::StatusOr<std::string> podCgroup(std::string_view parent, CgroupDriver driver) {
  if (parent.empty()) return std::string();
  if (driver == CgroupDriver::kCgroupfs) return cleanPath(parent, "cgroup parent");
  // The kubelet passes the whole path of a slice; its last part says it all.
  return expandSlice(baseName(parent));
}

std::string parentCgroup(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

std::string defaultCgroupsPath(std::string_view parent, std::string_view container,
                               CgroupDriver driver) {
  if (driver == CgroupDriver::kSystemd) return strCat(baseName(parent), ":berth:", container);
  return strCat(parent.starts_with('/') ? "" : "/", parent, parent.ends_with('/') ? "" : "/",
                container);
}

}  // namespace berth::runc
