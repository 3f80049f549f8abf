#include "container_update.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

#include <boost/json/serialize.hpp>

#include "berth/support/fd.hpp"
#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "cgroup_processes.hpp"
#include "unit_properties.hpp"

namespace berth::runc {

namespace json = boost::json;
using support::Fd;
using support::strCat;

namespace {

constexpr mode_t kConfigMode = 0600;  // environments hold secrets

std::string configOf(const std::string& bundle) {
  return bundle + "/config.json";
}

absl::StatusOr<json::object> readConfig(const std::string& bundle) {
  BERTH_ASSIGN_OR_RETURN(const std::string text, support::readFile(configOf(bundle)));
  return support::parseJsonObject(text, configOf(bundle));
}

absl::Status writeConfig(const std::string& bundle, const json::object& document) {
  return support::replaceFile(configOf(bundle), json::serialize(document), kConfigMode,
                              support::Durability::kVisible);
}

// Objects are merged member by member, everything else is replaced.
void merge(json::object& target, const json::object& change) {
  for (const auto& [key, value] : change) {
    if (value.is_object()) {
      merge(support::objectAt(target, {key.data(), key.size()}), value.get_object());
    } else {
      target[key] = value;
    }
  }
}

absl::StatusOr<UnitLimits> unitLimitsOf(json::object& config, CgroupMode mode) {
  const json::object& resources =
      support::objectAt(support::objectAt(config, "linux"), "resources");
  BERTH_ASSIGN_OR_RETURN(const PodLimits limits, parsePodLimits(json::serialize(resources)));
  return unitLimits(limits, mode);
}

std::string pageSizeOf(const json::value& limit) {
  return limit.is_object() ? support::stringMember(limit.get_object(), "pageSize") : std::string();
}

void mergeHugepages(json::object& resources, const json::array& limits) {
  if (limits.empty()) return;
  json::array& known = support::arrayAt(resources, "hugepageLimits");
  for (const json::value& limit : limits) {
    const auto same = std::find_if(known.begin(), known.end(), [&](const json::value& one) {
      return pageSizeOf(one) == pageSizeOf(limit);
    });
    if (same != known.end()) {
      *same = limit;
    } else {
      known.push_back(limit);
    }
  }
}

std::string scoreOf(const Fd& process) {
  const auto text = support::readFile(strCat("/proc/self/fd/", process.get(), "/oom_score_adj"));
  return text.ok() ? *text : std::string();
}

// Opened before the cgroup is read again: a number that has become somebody else's in between is
// not in both.
absl::StatusOr<std::vector<Fd>> openProcesses(const CgroupLayout& layout,
                                              const std::string& cgroup) {
  std::vector<std::pair<pid_t, Fd>> opened;
  BERTH_ASSIGN_OR_RETURN(const std::vector<pid_t> pids, processesOfCgroup(layout, cgroup));
  for (const pid_t pid : pids) {
    auto directory = support::openFile(strCat("/proc/", pid), O_PATH | O_DIRECTORY);
    if (absl::IsNotFound(directory.status())) continue;
    BERTH_RETURN_IF_ERROR(directory.status());
    opened.emplace_back(pid, *std::move(directory));
  }
  BERTH_ASSIGN_OR_RETURN(const std::vector<pid_t> still, processesOfCgroup(layout, cgroup));
  std::vector<Fd> processes;
  for (auto& [pid, directory] : opened) {
    if (std::binary_search(still.begin(), still.end(), pid))
      processes.push_back(std::move(directory));
  }
  return processes;
}

}  // namespace

absl::StatusOr<ResourceChange> parseResourceChange(std::string_view resources) {
  ResourceChange change;
  BERTH_ASSIGN_OR_RETURN(change.forRuntime,
                         support::parseJsonObject(resources, "the container's resources"));
  if (const json::array* limits = support::arrayMember(change.forRuntime, "hugepageLimits"))
    change.hugepages = *limits;
  change.forRuntime.erase("hugepageLimits");
  if (change.forRuntime.contains("oomScoreAdj"))
    change.oomScoreAdj = support::intMember(change.forRuntime, "oomScoreAdj");
  change.forRuntime.erase("oomScoreAdj");
  return change;
}

absl::StatusOr<std::map<std::string, std::string>> settingsBesideUnit(const std::string& bundle) {
  BERTH_ASSIGN_OR_RETURN(json::object document, readConfig(bundle));
  BERTH_ASSIGN_OR_RETURN(UnitLimits unit, unitLimitsOf(document, CgroupMode::kUnified));
  return std::move(unit.rest.unified);
}

absl::Status annotateUnit(const std::string& bundle, CgroupMode mode) {
  BERTH_ASSIGN_OR_RETURN(json::object document, readConfig(bundle));
  BERTH_ASSIGN_OR_RETURN(const UnitLimits unit, unitLimitsOf(document, mode));
  json::object& annotations = support::objectAt(document, "annotations");
  for (const UnitProperty& property : unit.properties) {
    if (const auto* number = std::get_if<uint64_t>(&property.value))
      annotations[strCat("org.systemd.property.", property.name)] = strCat("uint64 ", *number);
  }
  return writeConfig(bundle, document);
}

absl::Status changeBundle(const std::string& bundle, const ResourceChange& change) {
  BERTH_ASSIGN_OR_RETURN(json::object document, readConfig(bundle));
  json::object& resources = support::objectAt(support::objectAt(document, "linux"), "resources");
  merge(resources, change.forRuntime);
  mergeHugepages(resources, change.hugepages);
  if (change.oomScoreAdj)
    support::objectAt(document, "process")["oomScoreAdj"] = *change.oomScoreAdj;
  return writeConfig(bundle, document);
}

absl::Status changeHugepages(const CgroupLayout& layout, const std::string& cgroup,
                             const json::array& limits) {
  const std::string directory = layout.directory("hugetlb", cgroup);
  const char* const file = layout.mode() == CgroupMode::kUnified ? ".max" : ".limit_in_bytes";
  for (const json::value& limit : limits) {
    const std::string size = pageSizeOf(limit);
    if (size.empty() || size.find('/') != std::string::npos)
      return absl::InvalidArgumentError("hugepageLimits: a limit has no pageSize");
    const std::string path = strCat(directory, "/hugetlb.", size, file);
    const absl::Status written =
        support::writeControlFile(path, strCat(support::intMember(limit.get_object(), "limit")));
    if (directory.empty() || absl::IsNotFound(written))
      return absl::FailedPreconditionError(
          strCat("hugepageLimits: this host does not count huge pages of ", size));
    BERTH_RETURN_IF_ERROR(written);
  }
  return absl::OkStatus();
}

absl::Status changeOomScores(const CgroupLayout& layout, const std::string& cgroup, int64_t first,
                             int64_t score) {
  const auto before = support::readFile(strCat("/proc/", first, "/oom_score_adj"));
  if (!before.ok()) return absl::OkStatus();  // it has ended
  BERTH_ASSIGN_OR_RETURN(const std::vector<Fd> processes, openProcesses(layout, cgroup));
  for (const Fd& process : processes) {
    if (scoreOf(process) != *before) continue;
    const absl::Status written = support::writeControlFile(
        strCat("/proc/self/fd/", process.get(), "/oom_score_adj"), strCat(score));
    // ESRCH: ended meanwhile.
    if (!written.ok() && !scoreOf(process).empty())
      return support::annotate(written, "change oom_score_adj");
  }
  return absl::OkStatus();
}

}  // namespace berth::runc
