// What was asked for and cannot be given in full.
#pragma once

#include <string>
#include <vector>

#include "common/log.hpp"

namespace berth::spec {

struct Warning {
  std::string text;
  // For want of CAP_SYS_RESOURCE, of which the daemon warns once, when it starts.
  bool isOfDaemon = false;
};
using Warnings = std::vector<Warning>;

// Those of the daemon at the level of debugging: a node may have them for each container.
void logWarnings(const Warnings& warnings, common::LogField about);

}  // namespace berth::spec
