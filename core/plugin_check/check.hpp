// What a check is, and the list of all of them.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "plugins/interfaces.hpp"

namespace berth::check {

class Probe;

enum class Rights {
  kAny,
  kRoot,     // mounts, cgroups or other processes are at stake: skipped without
  kNetwork,  // root, and a network namespace of its own in place of the host's
};

struct Check {
  std::string_view name;     // stable: "snapshotter.whiteouts"
  std::string_view meaning;  // one sentence
  std::string_view rule;     // where the ABI's headers say so
  void (*run)(Probe&);       // in a process of its own
  Rights rights = Rights::kAny;
  std::optional<plugins::Kind> kind;  // none: for every plugin
  int patience = 1;                   // how many times the time limit it may take
  bool advice = false;                // no rule: failing it is a warning
  bool within = false;                // looks at the process that has the plugin: its own
};

// In the order in which they are run: what others rest on comes first.
std::vector<Check> allChecks();

// Those of a file each.
std::vector<Check> fileChecks();
std::vector<Check> descriptionChecks();
std::vector<Check> optionChecks();
std::vector<Check> lifeCycleChecks();
std::vector<Check> growthChecks();
std::vector<Check> callChecks();
std::vector<Check> memoryChecks();
std::vector<Check> snapshotterLayerChecks();
std::vector<Check> snapshotterSnapshotChecks();
std::vector<Check> snapshotterFaultChecks();
std::vector<Check> sourceChecks();
std::vector<Check> networkChecks();
std::vector<Check> runtimeChecks();
std::vector<Check> runtimeExecChecks();
std::vector<Check> runtimeFaultChecks();

}  // namespace berth::check
