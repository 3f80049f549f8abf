#include "engine/spec/cgroup_path.hpp"

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

constexpr std::string_view kSliceSuffix = ".slice";

// systemd.unit(5): the characters of unit names. An escaped one has a backslash.
bool isSlice(std::string_view name) {
  if (!name.ends_with(kSliceSuffix) || name.size() == kSliceSuffix.size()) return false;
  for (char c : name)
    if (!common::isAlphanumeric(c) && std::string_view(":-_.\\").find(c) == std::string_view::npos)
      return false;
  return true;
}

}  // namespace

absl::StatusOr<std::string> podCgroupParent(const std::string& cgroupParent, CgroupDriver driver) {
  BERTH_RETURN_IF_ERROR(checkText(cgroupParent, "cgroup_parent"));
  const bool systemd = driver == CgroupDriver::kSystemd;
  if (cgroupParent.empty()) return std::string(systemd ? "berth.slice" : "/berth");
  for (std::string_view part : common::split(cgroupParent, '/'))
    if (part == "..")
      return absl::InvalidArgumentError(
          support::strCat("cgroup_parent \"", cgroupParent, "\" must not contain \"..\""));

  std::string path = cleanPath(support::strCat("/", cgroupParent));
  std::string last = path.substr(path.rfind('/') + 1);
  if (systemd) {
    if (isSlice(last)) return last;
    return absl::InvalidArgumentError(
        support::strCat("cgroup_parent \"", cgroupParent,
                        "\" is not a slice, but the cgroup driver is systemd: give the kubelet and "
                        "this daemon the same driver"));
  }
  if (last.ends_with(kSliceSuffix))
    return absl::InvalidArgumentError(support::strCat(
        "cgroup_parent \"", cgroupParent,
        "\" is a systemd slice, but the cgroup driver is cgroupfs: give the kubelet "
        "and this daemon the same driver"));
  return path;
}

absl::StatusOr<std::string> cgroupsPath(const std::string& cgroupParent, CgroupDriver driver,
                                        const std::string& containerId) {
  BERTH_ASSIGN_OR_RETURN(std::string path, podCgroupParent(cgroupParent, driver));
  if (driver == CgroupDriver::kSystemd)
    path += ":berth:";
  else if (!path.ends_with('/'))
    path += '/';
  return path += containerId;
}

}  // namespace berth::spec
