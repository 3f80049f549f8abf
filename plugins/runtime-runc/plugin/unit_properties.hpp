// Limits as systemd's properties (systemd.resource-control(5), org.freedesktop.systemd1(5)).
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "pod_resources.hpp"

namespace berth::runc {

inline constexpr uint64_t kNoUnitLimit = UINT64_MAX;

// A number ("t") or a set of CPUs or memory nodes ("ay": one bit each, the lowest first).
struct UnitProperty {
  std::string name;
  std::variant<uint64_t, std::vector<uint8_t>> value;
  bool operator==(const UnitProperty&) const = default;
};

struct UnitLimits {
  std::vector<UnitProperty> properties;
  // What systemd has no property for: to be written to the unit's control files, and anew whenever
  // it has been told of a limit, since some of them (memory.oom.group) it sets back by the way.
  PodLimits rest;
};

// INVALID_ARGUMENT for a set of CPUs or memory nodes that is none ("0-3,7" is one).
absl::StatusOr<UnitLimits> unitLimits(const PodLimits& limits, CgroupMode mode);

}  // namespace berth::runc
