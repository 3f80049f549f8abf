#include "pod_resources.hpp"

#include <algorithm>

#include <boost/json/object.hpp>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "systemd_unit.hpp"

namespace berth::runc {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr int64_t kMostShares = 262144;

std::optional<int64_t> optionalInt(const json::object& object, std::string_view key) {
  const json::value* member = object.if_contains({key.data(), key.size()});
  if (member == nullptr || !member->is_number()) return std::nullopt;
  return support::intMember(object, key);
}

// -1, no limit, wins over any number; not given counts as nothing.
std::optional<int64_t> sum(const std::optional<int64_t>& a, const std::optional<int64_t>& b) {
  if (!a || !b) return a ? a : b;
  return *a < 0 || *b < 0 ? -1 : *a + *b;
}

std::string limitText(int64_t limit, std::string_view none) {
  return limit < 0 ? std::string(none) : std::to_string(limit);
}

class Plan {
 public:
  Plan(const CgroupLayout& layout, const std::string& path) : layout_(layout), path_(path) {}

  void add(std::string_view controller, std::string_view file, std::string text) {
    const std::string directory = layout_.directory(controller, path_);
    if (!directory.empty()) writes_.push_back({strCat(directory, "/", file), std::move(text)});
  }
  std::vector<CgroupWrite> take() { return std::move(writes_); }

 private:
  const CgroupLayout& layout_;
  const std::string& path_;
  std::vector<CgroupWrite> writes_;
};

void planV1(const PodLimits& limits, Plan& plan) {
  if (limits.memory) plan.add("memory", "memory.limit_in_bytes", limitText(*limits.memory, "-1"));
  if (limits.shares) plan.add("cpu", "cpu.shares", std::to_string(*limits.shares));
  if (limits.period) plan.add("cpu", "cpu.cfs_period_us", std::to_string(*limits.period));
  if (limits.quota) plan.add("cpu", "cpu.cfs_quota_us", limitText(*limits.quota, "-1"));
  for (const auto& [size, bytes] : limits.hugepages) {
    plan.add("hugetlb", strCat("hugetlb.", size, ".limit_in_bytes"), limitText(bytes, "-1"));
  }
}

void planV2(const PodLimits& limits, Plan& plan) {
  if (limits.memory) plan.add("memory", "memory.max", limitText(*limits.memory, "max"));
  if (limits.swap) plan.add("memory", "memory.swap.max", limitText(*limits.swap, "max"));
  if (limits.shares) plan.add("cpu", "cpu.weight", std::to_string(cpuWeight(*limits.shares)));
  if (limits.quota || limits.period) {
    plan.add("cpu", "cpu.max",
             strCat(limitText(limits.quota.value_or(-1), "max"), " ",
                    limits.period.value_or(kDefaultCpuPeriod)));
  }
  for (const auto& [size, bytes] : limits.hugepages) {
    plan.add("hugetlb", strCat("hugetlb.", size, ".max"), limitText(bytes, "max"));
  }
  for (const auto& [file, text] : limits.unified) plan.add("", file, text);
}

// memory.swap of the OCI runtime spec counts the memory in.
std::optional<int64_t> swapOf(const json::object& memory, std::optional<int64_t> limit) {
  const std::optional<int64_t> both = optionalInt(memory, "swap");
  if (!both || *both == 0) return std::nullopt;
  if (*both < 0) return -1;
  if (!limit || *limit <= 0 || *both < *limit) return std::nullopt;
  return *both - *limit;
}

}  // namespace

int64_t cpuWeight(int64_t shares) {
  const int64_t bounded = std::clamp<int64_t>(shares, 2, kMostShares);
  return 1 + (bounded - 2) * 9999 / (kMostShares - 2);
}

absl::StatusOr<PodLimits> parsePodLimits(std::string_view resources) {
  PodLimits limits;
  if (resources.empty()) return limits;
  BERTH_ASSIGN_OR_RETURN(const json::object given,
                         support::parseJsonObject(resources, "the pod's resources"));
  if (const json::object* memory = support::objectMember(given, "memory")) {
    limits.memory = optionalInt(*memory, "limit");
    limits.swap = swapOf(*memory, limits.memory);
  }
  if (const json::object* cpu = support::objectMember(given, "cpu")) {
    limits.shares = optionalInt(*cpu, "shares");
    limits.quota = optionalInt(*cpu, "quota");
    limits.period = optionalInt(*cpu, "period");
    limits.cpus = support::stringMember(*cpu, "cpus");
    limits.mems = support::stringMember(*cpu, "mems");
  }
  if (const json::object* pids = support::objectMember(given, "pids")) {
    limits.pids = optionalInt(*pids, "limit");
  }
  if (const json::array* pages = support::arrayMember(given, "hugepageLimits")) {
    for (const json::value& page : *pages) {
      if (!page.is_object()) continue;
      const std::string size = support::stringMember(page.get_object(), "pageSize");
      if (!size.empty() && size.find('/') == std::string::npos) {
        limits.hugepages[size] = support::intMember(page.get_object(), "limit");
      }
    }
  }
  if (const json::object* unified = support::objectMember(given, "unified")) {
    for (const auto& [key, value] : *unified) {
      const std::string file(key.data(), key.size());
      if (file.find('/') != std::string::npos || !value.is_string()) {
        return absl::InvalidArgumentError(
            strCat("the pod's resources: unified member \"", file,
                   "\" must name a file of the cgroup and have text as its value"));
      }
      limits.unified[file] = std::string(value.get_string());
    }
  }
  return limits;
}

PodLimits addOverhead(const PodLimits& pod, const PodLimits& overhead) {
  PodLimits total = pod;
  total.memory = sum(pod.memory, overhead.memory);
  total.shares = sum(pod.shares, overhead.shares);
  total.pids = sum(pod.pids, overhead.pids);
  total.period = pod.period ? pod.period : overhead.period;
  std::optional<int64_t> more = overhead.quota;
  if (more && *more > 0) {
    // Both quotas have to be of one period.
    *more = *more * total.period.value_or(kDefaultCpuPeriod) /
            overhead.period.value_or(kDefaultCpuPeriod);
  }
  total.quota = sum(pod.quota, more);
  for (const auto& [size, bytes] : overhead.hugepages) total.hugepages[size] += bytes;
  return total;
}

std::vector<CgroupWrite> planWrites(const CgroupLayout& layout, const std::string& path,
                                    const PodLimits& limits) {
  Plan plan(layout, path);
  if (layout.mode() == CgroupMode::kUnified) {
    planV2(limits, plan);
  } else {
    planV1(limits, plan);
  }
  // The same on both.
  if (limits.pids)
    plan.add("pids", "pids.max", *limits.pids <= 0 ? "max" : std::to_string(*limits.pids));
  if (!limits.cpus.empty()) plan.add("cpuset", "cpuset.cpus", limits.cpus);
  if (!limits.mems.empty()) plan.add("cpuset", "cpuset.mems", limits.mems);
  return plan.take();
}

absl::Status setPodResources(const CgroupLayout& layout, const PodRecord& pod,
                             std::string_view resources, std::string_view overhead) {
  BERTH_ASSIGN_OR_RETURN(const PodLimits sum, parsePodLimits(resources));
  BERTH_ASSIGN_OR_RETURN(const PodLimits more, parsePodLimits(overhead));
  BERTH_ASSIGN_OR_RETURN(const std::string path, podCgroup(pod.cgroupParent, pod.driver));
  if (path.empty() || !pod.ownCgroup) {
    return absl::FailedPreconditionError(
        strCat("its cgroup parent \"", pod.cgroupParent,
               "\" is not its own: limits there would bind others"));
  }
  PodLimits limits = addOverhead(sum, more);
  if (!limits.unified.empty() && layout.mode() != CgroupMode::kUnified) {
    return absl::FailedPreconditionError(
        strCat("unified member \"", limits.unified.begin()->first,
               "\": this host does not have its controllers on cgroup v2"));
  }
  if (pod.driver == CgroupDriver::kSystemd) {
    BERTH_ASSIGN_OR_RETURN(UnitLimits unit, unitLimits(limits, layout.mode()));
    BERTH_RETURN_IF_ERROR(setUnitProperties(path.substr(path.rfind('/') + 1), unit.properties));
    limits = std::move(unit.rest);
    if (!limits.unified.empty()) BERTH_RETURN_IF_ERROR(awaitUnits());
  }
  for (const CgroupWrite& write : planWrites(layout, path, limits)) {
    const absl::Status written = support::writeControlFile(write.path, write.text);
    if (absl::IsNotFound(written)) {
      return absl::FailedPreconditionError(
          strCat("its cgroup ", path, " has no ", write.path.substr(write.path.rfind('/') + 1),
                 ": the cgroup is made with the pod's first container, and its controllers are "
                 "those of the cgroup above it"));
    }
    BERTH_RETURN_IF_ERROR(written);
  }
  return absl::OkStatus();
}

}  // namespace berth::runc
