// What many standing pods cost an engine: memory, the latency of lists, the time of a restart.
#include <map>
#include <signal.h>
#include <thread>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "procfs.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

constexpr double kKibPerMib = 1024;
// Pods are made this many at a time: their number is what counts here, not the haste.
constexpr int kGrowWidth = 4;
// Of the environment that every payload carries (cri_client.cpp).
constexpr char kPayloadMark[] = "berth-bench-run=payload";

using Populations = std::map<Engine*, std::unique_ptr<Population>>;

bool isHelper(const Bench& bench, const Engine& engine, pid_t pid, const std::string& program) {
  const std::vector<std::string>& known = bench.options.helpers;
  const bool named = std::find(known.begin(), known.end(), program) != known.end();
  const bool related = named || descendsFrom(pid, engine.daemonPid()) ||
                       cgroupHolds(pid, bench.workspace.cgroupParent());
  return related && !environmentHolds(pid, kPayloadMark);
}

// Memory in KiB by program of the helpers that were not among `before`.
std::map<std::string, uint64_t> helperMemory(const Bench& bench, const Engine& engine,
                                             const std::set<ProcessId>& before) {
  std::map<std::string, uint64_t> memory;
  for (const ProcessId& process : listProcesses()) {
    if (before.contains(process) || process.pid == engine.daemonPid()) continue;
    const std::string program = programName(process.pid);
    if (program.empty() || !isHelper(bench, engine, process.pid, program)) continue;
    const auto size = proportionalKibibytes(process.pid);
    if (size.ok()) memory[program] += *size;
  }
  return memory;
}

absl::Status recordDaemon(Section& section, const Engine& engine, absl::string_view when) {
  BERTH_ASSIGN_OR_RETURN(const uint64_t size, proportionalKibibytes(engine.daemonPid()));
  section.add(absl::StrCat("daemon, ", when), "MiB PSS", engine.name(),
              static_cast<double>(size) / kKibPerMib);
  return absl::OkStatus();
}

absl::Status growAndWeigh(Bench& bench, Section& section, Engine& engine, Population& population) {
  const int pods = bench.options.pods;
  const std::chrono::milliseconds rest(bench.options.settleMilliseconds);
  std::this_thread::sleep_for(rest);
  BERTH_RETURN_IF_ERROR(recordDaemon(section, engine, "no pods"));
  const std::set<ProcessId> before = listProcesses();
  BERTH_RETURN_IF_ERROR(population.grow(pods, kGrowWidth));
  std::this_thread::sleep_for(rest);
  BERTH_RETURN_IF_ERROR(recordDaemon(section, engine, absl::StrCat(pods, " pods")));
  double total = 0;
  for (const auto& [program, size] : helperMemory(bench, engine, before)) {
    const double share = static_cast<double>(size) / pods;
    section.add(absl::StrCat(program, ", per pod"), "KiB PSS", engine.name(), share);
    total += share;
  }
  section.add("all other processes, per pod", "KiB PSS", engine.name(), total);
  return absl::OkStatus();
}

// Times one list call; engines that do not implement it are left without a value.
absl::Status timeList(Section& section, Engine& engine, const std::string& name, size_t expected,
                      const std::function<absl::StatusOr<size_t>(CriClient&)>& list) {
  const Clock::time_point begin = Clock::now();
  const absl::StatusOr<size_t> count = list(engine.client());
  const double duration = milliseconds(Clock::now() - begin);
  if (absl::IsUnimplemented(count.status())) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(count.status());
  if (*count < expected) {
    return absl::InternalError(
        absl::StrCat(name, ": ", *count, " entries where at least ", expected, " stand"));
  }
  section.add(name, "ms", engine.name(), duration);
  return absl::OkStatus();
}

absl::Status timeLists(const Bench& bench, Section& section, Engine& engine) {
  const auto expected = static_cast<size_t>(bench.options.pods);
  BERTH_RETURN_IF_ERROR(
      timeList(section, engine, "ListPodSandbox", expected,
               [&](CriClient& client) { return client.countReadyPods(bench.workspace.tag()); }));
  BERTH_RETURN_IF_ERROR(timeList(section, engine, "ListContainers", expected,
                                 [](CriClient& client) { return client.countContainers(); }));
  BERTH_RETURN_IF_ERROR(timeList(section, engine, "ListContainerStats", expected,
                                 [](CriClient& client) { return client.countContainerStats(); }));
  return timeList(section, engine, "ListPodSandboxStats", expected,
                  [](CriClient& client) { return client.countPodStats(); });
}

absl::Status runLists(Bench& bench, Sweep& sweep) {
  Section section("stats", absl::StrCat("Lists, ", bench.options.pods, " pods and containers"));
  BERTH_RETURN_IF_ERROR(sweep.rounds(bench.options.statsRounds, [&](Engine& engine) {
    return timeLists(bench, section, engine);
  }));
  section.note("A dash stands for a call that the engine does not implement.");
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

// The daemon dies without warning; the pods have to be there, and answer, once it serves again.
absl::Status restart(Bench& bench, Section& section, Engine& engine, const Population& population) {
  BERTH_RETURN_IF_ERROR(engine.stop(SIGKILL));
  BERTH_ASSIGN_OR_RETURN(const StartTimes times, engine.start());
  section.add("until Version", "ms", engine.name(), milliseconds(times.untilVersion));
  section.add("until ListPodSandbox", "ms", engine.name(), milliseconds(times.untilList));
  BERTH_ASSIGN_OR_RETURN(const size_t ready, engine.client().countReadyPods(bench.workspace.tag()));
  if (ready != population.pods().size()) {
    return absl::DataLossError(absl::StrCat("after a restart ", ready, " of ",
                                            population.pods().size(), " pods are ready"));
  }
  return engine.client().execSync(population.pods().back().container, {"/bin/true"});
}

absl::Status runRestart(Bench& bench, Sweep& sweep, Populations& populations) {
  Section section("restart", absl::StrCat("Restart after SIGKILL, ", bench.options.pods, " pods"));
  BERTH_RETURN_IF_ERROR(
      sweep.rounds(bench.options.restartRounds, [&](Engine& engine) -> absl::Status {
        if (!engine.owned()) return absl::OkStatus();
        return restart(bench, section, engine, *populations[&engine]);
      }));
  section.note(
      "From the start of the process. After each restart all pods were ready and one answered an "
      "ExecSync. Only engines that the bench starts itself.");
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace

absl::Status runPopulation(Bench& bench) {
  bench.progress(absl::StrCat("density, stats, restart: ", bench.options.pods, " pods"));
  Populations populations;
  Section density("density", absl::StrCat("Density, ", bench.options.pods, " pods"));
  Sweep sweep(bench, "density");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    auto& population = populations[&engine];
    population = std::make_unique<Population>(engine);
    return growAndWeigh(bench, density, engine, *population);
  }));
  density.note(
      "Proportional set sizes, with all resident pages of libraries that berth-bench maps too. "
      "Payloads are not counted, pause processes are. Engines of one binary share its pages.");
  if (bench.wants("density")) bench.report.sections.push_back(std::move(density));
  if (bench.wants("stats")) BERTH_RETURN_IF_ERROR(runLists(bench, sweep));
  if (bench.wants("restart")) BERTH_RETURN_IF_ERROR(runRestart(bench, sweep, populations));
  return sweep.each([&](Engine& engine) { return populations[&engine]->remove(kGrowWidth); });
}

}  // namespace berth::bench
