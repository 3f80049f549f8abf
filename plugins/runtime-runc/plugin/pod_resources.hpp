// What a pod as a whole may use, set on its own cgroup.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cgroup_layout.hpp"
#include "records.hpp"

namespace berth::runc {

inline constexpr int64_t kDefaultCpuPeriod = 100000;  // microseconds, the kernel's

// The members of linux.resources (OCI runtime spec, config-linux) that make sense for a pod.
// What is not given stays as it is; -1 lifts a limit.
struct PodLimits {
  std::optional<int64_t> memory;  // bytes
  std::optional<int64_t> swap;    // bytes beside the memory's, as cgroup v2 counts; not set on v1
  std::optional<int64_t> shares;  // of the CPU, 2 to 262144
  std::optional<int64_t> quota;   // microseconds of CPU time in each period
  std::optional<int64_t> period;  // microseconds
  std::optional<int64_t> pids;
  std::string cpus, mems;
  std::map<std::string, int64_t> hugepages;    // "2MB" → bytes
  std::map<std::string, std::string> unified;  // cgroup v2 file → content
};

// Reads linux.resources; empty text gives no limits.
absl::StatusOr<PodLimits> parsePodLimits(std::string_view resources);
// The pod's sum with the overhead of its runtime class on top. No limit on either stays none.
PodLimits addOverhead(const PodLimits& sum, const PodLimits& overhead);

// cpu.weight (cgroup v2) for cpu.shares (v1), on the scale that runtimes and systemd use.
int64_t cpuWeight(int64_t shares);

struct CgroupWrite {
  std::string path;
  std::string text;
};
// The control files of cgroup `path` to write, in order.
std::vector<CgroupWrite> planWrites(const CgroupLayout& layout, const std::string& path,
                                    const PodLimits& limits);

// Sets both on the pod's cgroup: in its files, or through systemd for a slice, so that systemd does
// not undo it. FAILED_PRECONDITION when the pod has no cgroup of its own. Blocks; any thread.
absl::Status setPodResources(const CgroupLayout& layout, const PodRecord& pod,
                             std::string_view resources, std::string_view overhead);

}  // namespace berth::runc
