#include "engine_processes.hpp"

#include <algorithm>

namespace berth::bench {
namespace {

// Of the environment that every payload carries (cri_client.cpp).
constexpr char kPayloadMark[] = "berth-bench-run=payload";

bool isHelper(const Bench& bench, const Engine& engine, pid_t pid, const std::string& program) {
  const std::vector<std::string>& known = bench.options.helpers;
  const bool named = std::find(known.begin(), known.end(), program) != known.end();
  const bool related = named || descendsFrom(pid, engine.daemonPid()) ||
                       cgroupHolds(pid, bench.workspace.cgroupParent());
  return related && !environmentHolds(pid, kPayloadMark);
}

}  // namespace

std::vector<Helper> helpersOf(const Bench& bench, const Engine& engine,
                              const std::set<ProcessId>& before) {
  std::vector<Helper> helpers;
  for (const ProcessId& process : listProcesses()) {
    if (before.contains(process) || process.pid == engine.daemonPid()) continue;
    std::string program = programName(process.pid);
    if (program.empty() || !isHelper(bench, engine, process.pid, program)) continue;
    helpers.push_back({process.pid, std::move(program)});
  }
  return helpers;
}

}  // namespace berth::bench
