// Which processes work for an engine.
#pragma once

#include <set>
#include <string>
#include <sys/types.h>
#include <vector>

#include "procfs.hpp"
#include "suites.hpp"

namespace berth::bench {

struct Helper {
  pid_t pid = 0;
  std::string program;  // its file name
};

// What works beside the engine's daemon for its pods, and was not among `before`: its children,
// what lies in the pods' cgroups, and what options name; the pods' payloads do not count.
std::vector<Helper> helpersOf(const Bench& bench, const Engine& engine,
                              const std::set<ProcessId>& before);

}  // namespace berth::bench
