// What differs between two configurations, and which of it a running daemon can take up.
#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "config/keys.hpp"

namespace berth::config {

struct Change {
  std::string key;   // "containers.pids_limit", "runtimes.kata"
  std::string from;  // as TOML writes it; empty: the table is new
  std::string to;    // empty: the table is gone
  Reload reload = Reload::kRestart;
};

// In the order in which keys are declared.
std::vector<Change> changesBetween(const Config& before, const Config& after);

// `running` with the values of `wanted` where they may change while the daemon runs.
Config withLiveChanges(Config running, const Config& wanted);

}  // namespace berth::config
