#include "cgroup_layout.hpp"

#include <algorithm>

#include <absl/strings/str_split.h>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::runc {

using support::strCat;

namespace {

constexpr std::string_view kSliceSuffix = ".slice";

std::vector<std::string> split(std::string_view text, char separator) {
  return absl::StrSplit(support::toAbsl(text), separator);
}

// mountinfo writes blank, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

struct Mount {
  std::string point;
  std::string type;
  std::string options;  // of the file system
};

// Fields: id, parent, device, root, mount point, options, optional fields, "-", type, source, file
// system options.
bool parseMount(std::string_view line, Mount& mount) {
  const std::vector<std::string> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 10 || fields.end() - dash < 4) return false;
  mount = {.point = unescape(fields[4]), .type = dash[1], .options = dash[3]};
  return true;
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
  for (const std::string& line : split(mountinfo, '\n')) {
    Mount mount;
    if (!parseMount(line, mount)) continue;
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

std::string defaultCgroupsPath(std::string_view parent, std::string_view container,
                               CgroupDriver driver) {
  if (driver == CgroupDriver::kSystemd) return strCat(baseName(parent), ":berth:", container);
  return strCat(parent.starts_with('/') ? "" : "/", parent, parent.ends_with('/') ? "" : "/",
                container);
}

}  // namespace berth::runc
