#include "engine/spec/resources.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <absl/strings/str_join.h>

#include "berth/support/status.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"

namespace berth::spec {
namespace {

namespace bj = boost::json;

using runtime::v1::HugepageLimit;
using runtime::v1::LinuxContainerResources;

// The kernel's MIN_SHARES and MAX_SHARES; others would come out wrong when the runtime turns them
// into a weight.
constexpr int64_t kMinimumShares = 2;
constexpr int64_t kMaximumShares = 262144;
// Of the kernel's bandwidth control, in microseconds.
constexpr int64_t kMinimumSlice = 1000;
constexpr int64_t kMaximumPeriod = 1'000'000;

absl::Status atLeast(int64_t value, int64_t minimum, std::string_view name) {
  if (value >= minimum) return absl::OkStatus();
  return absl::InvalidArgumentError(
      support::strCat("resources: ", name, " ", value, " is less than ", minimum));
}

bool isDigits(std::string_view text) {
  return !text.empty() && text.size() <= 9 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

// cpuset(7), "List format": "0-3,7".
absl::Status checkCpuset(std::string_view list, std::string_view name) {
  for (std::string_view range : common::split(list, ',')) {
    const std::vector<std::string_view> ends = common::split(range, '-');
    const bool numbers = ends.size() <= 2 && isDigits(ends.front()) && isDigits(ends.back());
    if (!numbers ||
        *common::parseNumber<int>(ends.front()) > *common::parseNumber<int>(ends.back()))
      return absl::InvalidArgumentError(
          support::strCat("resources: ", name, " \"", list, "\" is not a list like 0-3,7"));
  }
  return absl::OkStatus();
}

absl::StatusOr<bj::object> cpu(const LinuxContainerResources& resources) {
  BERTH_RETURN_IF_ERROR(atLeast(resources.cpu_period(), 0, "cpu_period"));
  BERTH_RETURN_IF_ERROR(atLeast(resources.cpu_quota(), -1, "cpu_quota"));
  BERTH_RETURN_IF_ERROR(atLeast(resources.cpu_shares(), 0, "cpu_shares"));
  const int64_t period = resources.cpu_period();
  const int64_t quota = resources.cpu_quota();
  if (period != 0 && (period < kMinimumSlice || period > kMaximumPeriod))
    return absl::InvalidArgumentError(support::strCat("resources: cpu_period ", period,
                                                      " is out of range, which is ", kMinimumSlice,
                                                      " to ", kMaximumPeriod, " microseconds"));
  if (quota > 0) BERTH_RETURN_IF_ERROR(atLeast(quota, kMinimumSlice, "cpu_quota"));
  bj::object json;
  if (period != 0) json["period"] = period;
  if (quota != 0) json["quota"] = quota;
  if (resources.cpu_shares() != 0)
    json["shares"] = std::clamp(resources.cpu_shares(), kMinimumShares, kMaximumShares);
  if (!resources.cpuset_cpus().empty()) {
    BERTH_RETURN_IF_ERROR(checkCpuset(resources.cpuset_cpus(), "cpuset_cpus"));
    json["cpus"] = bj::string(resources.cpuset_cpus());
  }
  if (!resources.cpuset_mems().empty()) {
    BERTH_RETURN_IF_ERROR(checkCpuset(resources.cpuset_mems(), "cpuset_mems"));
    json["mems"] = bj::string(resources.cpuset_mems());
  }
  return json;
}

// In the OCI specification swap is memory and swap together, as it is in CRI.
absl::StatusOr<bj::object> memory(const LinuxContainerResources& resources,
                                  const common::HostFacts& host, Warnings& warnings) {
  const int64_t limit = resources.memory_limit_in_bytes();
  const int64_t swap = resources.memory_swap_limit_in_bytes();
  BERTH_RETURN_IF_ERROR(atLeast(limit, -1, "memory_limit_in_bytes"));
  BERTH_RETURN_IF_ERROR(atLeast(swap, -1, "memory_swap_limit_in_bytes"));
  if (swap > 0 && limit > swap)
    return absl::InvalidArgumentError(
        support::strCat("resources: memory_swap_limit_in_bytes ", swap,
                        ", which counts memory too, is less than memory_limit_in_bytes ", limit));
  bj::object json;
  if (limit != 0) json["limit"] = limit;
  if (host.swapAccounting) {
    // The same value for both means no swap, unless some is asked for.
    if (const int64_t total = swap != 0 ? swap : limit; total != 0) json["swap"] = total;
  } else if (swap > limit && limit > 0) {
    warnings.push_back(
        {"memory_swap_limit_in_bytes is set, but swap is not accounted on this host"});
  }
  return json;
}

absl::StatusOr<bj::array> hugepages(const LinuxContainerResources& resources,
                                    const common::HostFacts& host, Warnings& warnings) {
  bj::array json;
  for (const HugepageLimit& limit : resources.hugepage_limits()) {
    std::string_view size = limit.page_size();
    for (const char* unit : {"KB", "MB", "GB"})
      if (size.ends_with(unit)) {
        size.remove_suffix(2);
        break;
      }
    if (size.size() == limit.page_size().size() || !isDigits(size) || size.starts_with('0'))
      return absl::InvalidArgumentError(support::strCat("resources: hugepage_limits: page_size \"",
                                                        limit.page_size(),
                                                        "\" is not a size like 2MB or 1GB"));
    if (host.hugetlb)
      json.push_back({{"pageSize", limit.page_size()}, {"limit", limit.limit()}});
    else if (limit.limit() != 0)
      warnings.push_back({support::strCat("hugepage_limits for ", limit.page_size(),
                                          " are set, but this host has no hugetlb controller")});
  }
  return json;
}

absl::StatusOr<bj::object> unified(const LinuxContainerResources& resources,
                                   const common::HostFacts& host, Warnings& warnings) {
  bj::object json;
  for (const auto& [key, value] : sorted(resources.unified())) {
    // A key is the name of a file in the cgroup.
    const bool name = !key.empty() && key.find('/') == std::string::npos &&
                      key.find('.') != std::string::npos && !key.starts_with('.');
    if (!name)
      return absl::InvalidArgumentError(support::strCat(
          "resources: unified: \"", key, "\" is not the name of a cgroup file like memory.high"));
    BERTH_RETURN_IF_ERROR(checkText(key, "a key of unified"));
    BERTH_RETURN_IF_ERROR(checkText(value, support::strCat("unified ", key)));
    json[key] = bj::string(value);
  }
  if (!json.empty() && host.cgroupMode != common::CgroupMode::kUnified) {
    warnings.push_back({"unified is set, but this host does not run cgroup version 2 alone"});
    json.clear();
  }
  return json;
}

template <class Part>
void put(bj::object& json, std::string_view key, Part&& part) {
  if (!part.empty()) json[key] = std::forward<Part>(part);
}

}  // namespace

absl::StatusOr<bj::object> resourcesJson(const LinuxContainerResources& resources,
                                         const common::HostFacts& host, Warnings& warnings) {
  bj::object json;
  BERTH_ASSIGN_OR_RETURN(bj::object cpuJson, cpu(resources));
  BERTH_ASSIGN_OR_RETURN(bj::object memoryJson, memory(resources, host, warnings));
  BERTH_ASSIGN_OR_RETURN(bj::array hugepagesJson, hugepages(resources, host, warnings));
  BERTH_ASSIGN_OR_RETURN(bj::object unifiedJson, unified(resources, host, warnings));
  put(json, "cpu", std::move(cpuJson));
  put(json, "memory", std::move(memoryJson));
  put(json, "hugepageLimits", std::move(hugepagesJson));
  put(json, "unified", std::move(unifiedJson));
  return json;
}

LinuxContainerResources mergedResources(const LinuxContainerResources& current,
                                        const LinuxContainerResources& update) {
  LinuxContainerResources merged = current;
  // A new limit of memory without one of swap means no swap (resourcesJson).
  if (update.memory_limit_in_bytes() != 0) merged.clear_memory_swap_limit_in_bytes();
  LinuxContainerResources scalars = update;
  scalars.clear_hugepage_limits();
  // Protocol buffers merge just so: members that are set replace, and maps are joined.
  merged.MergeFrom(scalars);
  for (const HugepageLimit& limit : update.hugepage_limits()) {
    HugepageLimit* slot = nullptr;
    for (HugepageLimit& known : *merged.mutable_hugepage_limits())
      if (known.page_size() == limit.page_size()) slot = &known;
    *(slot != nullptr ? slot : merged.add_hugepage_limits()) = limit;
  }
  return merged;
}

absl::StatusOr<bj::object> resourceChange(const LinuxContainerResources& current,
                                          const LinuxContainerResources& update,
                                          const common::HostFacts& host, Warnings& warnings) {
  LinuxContainerResources asked = update;
  // What swap is counted with may have been set before.
  if (asked.memory_swap_limit_in_bytes() > 0 && asked.memory_limit_in_bytes() == 0)
    asked.set_memory_limit_in_bytes(current.memory_limit_in_bytes());
  BERTH_RETURN_IF_ERROR(checkSwap(asked));
  Warnings lacking;
  BERTH_ASSIGN_OR_RETURN(bj::object json, resourcesJson(asked, host, lacking));
  if (!lacking.empty())
    return absl::FailedPreconditionError(support::strCat(
        "resources: ", absl::StrJoin(lacking, "; ", [](std::string* text, const Warning& warning) {
          text->append(warning.text);
        })));
  // Clients that change something else send 0, which is also the value of most containers.
  if (update.oom_score_adj() != 0 && update.oom_score_adj() != current.oom_score_adj()) {
    BERTH_ASSIGN_OR_RETURN(json["oomScoreAdj"],
                           oomScoreAdj(update.oom_score_adj(), host, warnings));
  }
  return json;
}

absl::Status checkSwap(const LinuxContainerResources& resources) {
  if (resources.memory_swap_limit_in_bytes() <= 0 || resources.memory_limit_in_bytes() != 0)
    return absl::OkStatus();
  return absl::InvalidArgumentError(
      "resources: memory_swap_limit_in_bytes is set without memory_limit_in_bytes");
}

absl::StatusOr<int> oomScoreAdj(int64_t requested, const common::HostFacts& host,
                                Warnings& warnings) {
  if (requested < -1000 || requested > 1000)
    return absl::InvalidArgumentError(support::strCat("resources: oom_score_adj ", requested,
                                                      " is out of range, which is -1000 to 1000"));
  if (requested >= host.oomScoreAdj || host.hasSysResource()) return static_cast<int>(requested);
  warnings.push_back(
      {support::strCat("oom_score_adj ", requested, " is raised to this daemon's own, ",
                       host.oomScoreAdj, ": it may not go below without CAP_SYS_RESOURCE"),
       true});
  return host.oomScoreAdj;
}

absl::StatusOr<bj::array> rlimitsJson(const std::vector<Ulimit>& limits,
                                      const common::HostFacts& host, Warnings& warnings) {
  // Of one kind the last is meant.
  std::map<std::string, common::ResourceLimit> wanted;
  for (const Ulimit& limit : limits) {
    std::string type = common::upperCase(limit.name);
    if (!type.starts_with("RLIMIT_")) type.insert(0, "RLIMIT_");
    if (!host.rlimits.contains(type))
      return absl::InvalidArgumentError(support::strCat("ulimit \"", limit.name, "\" is unknown"));
    if (limit.soft > limit.hard)
      return absl::InvalidArgumentError(support::strCat("ulimit ", limit.name, ": the soft limit ",
                                                        limit.soft, " is above the hard limit ",
                                                        limit.hard));
    wanted[type] = {.soft = limit.soft, .hard = limit.hard};
  }
  bj::array json;
  for (auto& [type, limit] : wanted) {
    uint64_t most =
        host.hasSysResource() ? common::ResourceLimit::kInfinity : host.rlimits.at(type).hard;
    if (type == "RLIMIT_NOFILE") most = std::min(most, host.maximumOpenFiles);
    if (limit.hard > most) {
      warnings.push_back({support::strCat(type, " ", limit.hard, " is lowered to ", most,
                                          ", the most that this daemon may give"),
                          !host.hasSysResource()});
      limit.hard = most;
      limit.soft = std::min(limit.soft, most);
    }
    json.push_back({{"type", type}, {"hard", limit.hard}, {"soft", limit.soft}});
  }
  return json;
}

}  // namespace berth::spec
