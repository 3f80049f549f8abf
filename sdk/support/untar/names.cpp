#include "names.hpp"

#include <linux/limits.h>
#include <vector>

#include "berth/support/status.hpp"
#include "berth/untar/tar_reader.hpp"

namespace berth::untar {
namespace {

using support::strCat;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kAufs = ".wh..wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

bool hasAufsComponent(std::string_view path) {
  while (!path.empty()) {
    if (path.starts_with(kAufs)) return true;
    const size_t slash = path.find('/');
    if (slash == std::string_view::npos) return false;
    path.remove_prefix(slash + 1);
  }
  return false;
}

}  // namespace

absl::StatusOr<LayerPath> layerPath(std::string_view name) {
  if (name.size() >= PATH_MAX)
    return absl::InvalidArgumentError(
        strCat("the path ", inQuotes(name), " has ", name.size(), " bytes, more than a path can"));
  std::vector<std::string_view> components;
  for (std::string_view rest = name; !rest.empty();) {
    const size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (component.empty() || component == ".") continue;
    if (component != "..") {
      components.push_back(component);
    } else if (!components.empty()) {
      components.pop_back();
    } else {
      return absl::InvalidArgumentError(
          strCat("the path ", inQuotes(name), " leaves the layer's root directory"));
    }
  }
  LayerPath path;
  if (components.empty()) return path;
  path.base = std::string(components.back());
  components.pop_back();
  for (const std::string_view component : components) {
    if (!path.parent.empty()) path.parent.push_back('/');
    path.parent.append(component);
  }
  return path;
}

Marker markerOf(const LayerPath& path) {
  if (hasAufsComponent(path.parent)) return Marker::kIgnored;
  if (!path.base.starts_with(kWhiteout)) return Marker::kNone;
  if (path.base == kOpaque) return Marker::kOpaque;
  return path.base.starts_with(kAufs) ? Marker::kIgnored : Marker::kWhiteout;
}

absl::StatusOr<std::string> whiteoutTarget(const LayerPath& path) {
  std::string target = path.base.substr(kWhiteout.size());
  if (target.empty() || target == "." || target == "..")
    return absl::InvalidArgumentError("the whiteout names no file");
  return target;
}

}  // namespace berth::untar
