// Other resources for a container: what the runtime binary changes, and what it does not.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cgroup_layout.hpp"

namespace berth::runc {

// A change taken apart by who carries it out.
struct ResourceChange {
  boost::json::object forRuntime;  // `runtime update`
  boost::json::array hugepages;    // [{"pageSize": "2MB", "limit": 4194304}]
  std::optional<int64_t> oomScoreAdj;
};

// From berth_runtime.container_update. INVALID_ARGUMENT when it is no such document.
absl::StatusOr<ResourceChange> parseResourceChange(std::string_view resources);

// Puts the change into the config.json of a container; members left out stay.
absl::Status changeBundle(const std::string& bundle, const ResourceChange& change);

// Writes the limits in the config.json of a container that has not been started as annotations
// "org.systemd.property.NAME" of it, which runtimes make its systemd unit with (crun(1), "Systemd
// properties"). Sets of CPUs and memory nodes have no such form. Idempotent.
absl::Status annotateUnit(const std::string& bundle, CgroupMode mode);

// What the config.json asks of the cgroup for which systemd has no property: file → content.
absl::StatusOr<std::map<std::string, std::string>> settingsBesideUnit(const std::string& bundle);

// Limits of huge pages, which no runtime changes: FAILED_PRECONDITION names a size that this host
// does not have or count.
absl::Status changeHugepages(const CgroupLayout& layout, const std::string& cgroup,
                             const boost::json::array& limits);

// For every process of the cgroup that has the score of process `first`: those that chose another
// one keep it.
absl::Status changeOomScores(const CgroupLayout& layout, const std::string& cgroup, int64_t first,
                             int64_t score);

}  // namespace berth::runc
