#include "engine/spec/cgroup_location.hpp"

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/cgroup_path.hpp"

namespace berth::spec {

using support::strCat;

namespace {

constexpr std::string_view kSuffix = ".slice";

// "a-b.slice" lies in "a.slice" (systemd.slice(5)); "-.slice" is the root.
std::string expandSlice(std::string_view slice) {
  std::string_view name = slice.substr(0, slice.size() - kSuffix.size());
  if (name == "-") return {};
  std::string path;
  for (size_t dash = name.find('-'); dash != std::string_view::npos;
       dash = name.find('-', dash + 1)) {
    path += strCat("/", name.substr(0, dash), kSuffix);
  }
  return strCat(path, "/", slice);
}

}  // namespace

absl::StatusOr<std::string> podCgroup(const std::string& cgroupParent, CgroupDriver driver) {
  BERTH_ASSIGN_OR_RETURN(const std::string parent, podCgroupParent(cgroupParent, driver));
  return driver == CgroupDriver::kSystemd ? expandSlice(parent) : parent;
}

absl::StatusOr<std::string> containerCgroup(const std::string& cgroupParent, CgroupDriver driver,
                                            const std::string& containerId) {
  BERTH_ASSIGN_OR_RETURN(const std::string pod, podCgroup(cgroupParent, driver));
  if (driver == CgroupDriver::kSystemd) return strCat(pod, "/berth-", containerId, ".scope");
  const std::string_view separator = pod.ends_with('/') ? "" : "/";
  return strCat(pod, separator, containerId);
}

}  // namespace berth::spec
