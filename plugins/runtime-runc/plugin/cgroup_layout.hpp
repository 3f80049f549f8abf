// Where this host keeps its cgroups, and where a container's cgroup lies in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace berth::runc {

enum class CgroupMode : uint8_t {
  kV1,       // each controller in a hierarchy of its own
  kHybrid,   // as kV1, and a unified hierarchy for processes and pressure
  kUnified,  // cgroup v2
};

enum class CgroupDriver : uint8_t { kCgroupfs, kSystemd };

// The mounted hierarchies. Immutable; any thread.
class CgroupLayout {
 public:
  // `mountinfo`: text of /proc/<pid>/mountinfo (proc(5)). FAILED_PRECONDITION when no cgroup file
  // system is mounted.
  static absl::StatusOr<CgroupLayout> parse(std::string_view mountinfo);
  // Of this process.
  static absl::StatusOr<CgroupLayout> detect();

  CgroupMode mode() const { return mode_; }

  // The directory of cgroup `path` ("/kubepods/pod1/abc") for a controller ("memory"): in its own
  // hierarchy on v1, in the unified one on v2. Empty when there is no such hierarchy.
  std::string directory(std::string_view controller, std::string_view path) const;
  // In the unified hierarchy; empty on pure v1.
  std::string unifiedDirectory(std::string_view path) const;
  // In every hierarchy.
  std::vector<std::string> directories(std::string_view path) const;

 private:
  CgroupMode mode_ = CgroupMode::kV1;
  std::string unified_;
  std::vector<std::pair<std::string, std::string>> controllers_;  // name, mount point
  std::vector<std::string> mountPoints_;                          // without repeats
};

// The cgroup of a slice: "a-b.slice" is "/a.slice/a-b.slice" (systemd.slice(5)). INVALID_ARGUMENT
// for what is no slice name.
absl::StatusOr<std::string> expandSlice(std::string_view slice);

// The cgroup that linux.cgroupsPath names (OCI runtime spec, config-linux, "Cgroups Path"): an
// absolute path, or "slice:prefix:name" with the systemd driver. INVALID_ARGUMENT for another form,
// for ".." and for the root, which is nobody's own.
absl::StatusOr<std::string> containerCgroup(std::string_view cgroupsPath, CgroupDriver driver);

// The cgroup that a pod's cgroup parent names. Empty when the parent is empty or the root.
absl::StatusOr<std::string> podCgroup(std::string_view parent, CgroupDriver driver);

// The cgroup that one lies in.
std::string parentCgroup(const std::string& path);

// linux.cgroupsPath for a container whose spec has none.
std::string defaultCgroupsPath(std::string_view parent, std::string_view container,
                               CgroupDriver driver);

}  // namespace berth::runc
