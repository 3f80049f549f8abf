// What many standing pods cost an engine: memory, the latency of lists, the time of a restart; and,
// in suite_idle.cpp, processor time.
#include <map>
#include <signal.h>
#include <thread>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "procfs.hpp"
#include "standing.hpp"

namespace berth::bench {
namespace {

constexpr double kKibPerMib = 1024;
// Pods are made this many at a time: their number is what counts here, not the haste.
constexpr int kGrowWidth = 4;
// Memory in KiB by program.
std::map<std::string, uint64_t> memoryOf(const std::vector<Helper>& helpers) {
  std::map<std::string, uint64_t> memory;
  for (const Helper& helper : helpers) {
    const auto size = proportionalKibibytes(helper.pid);
    if (size.ok()) memory[helper.program] += *size;
  }
  return memory;
}

absl::Status recordDaemon(Section& section, const Engine& engine, absl::string_view when) {
  BERTH_ASSIGN_OR_RETURN(const uint64_t size, proportionalKibibytes(engine.daemonPid()));
  section.add(absl::StrCat("daemon, ", when), "MiB PSS", engine.name(),
              static_cast<double>(size) / kKibPerMib);
  return absl::OkStatus();
}

absl::Status growAndWeigh(Bench& bench, Section& section, Standing& standing) {
  Engine& engine = *standing.engine;
  const int pods = bench.options.pods;
  const std::chrono::milliseconds rest(bench.options.settleMilliseconds);
  std::this_thread::sleep_for(rest);
  BERTH_RETURN_IF_ERROR(recordDaemon(section, engine, "no pods"));
  const std::set<ProcessId> before = listProcesses();
  BERTH_RETURN_IF_ERROR(standing.population->grow(pods, kGrowWidth));
  std::this_thread::sleep_for(rest);
  BERTH_RETURN_IF_ERROR(recordDaemon(section, engine, absl::StrCat(pods, " pods")));
  standing.helpers = helpersOf(bench, engine, before);
  double total = 0;
  for (const auto& [program, size] : memoryOf(standing.helpers)) {
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

absl::Status runRestart(Bench& bench, Sweep& sweep, const Standings& standings) {
  Section section("restart", absl::StrCat("Restart after SIGKILL, ", bench.options.pods, " pods"));
  BERTH_RETURN_IF_ERROR(
      sweep.rounds(bench.options.restartRounds, [&](Engine& engine) -> absl::Status {
        if (!engine.owned()) return absl::OkStatus();
        return restart(bench, section, engine, *standings.at(&engine).population);
      }));
  section.note(
      "From the start of the process. After each restart all pods were ready and one answered an "
      "ExecSync. Only engines that the bench starts itself.");
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace

absl::Status runPopulation(Bench& bench) {
  bench.progress(absl::StrCat("density, stats, idle, restart: ", bench.options.pods, " pods"));
  Standings standings;
  Section density("density", absl::StrCat("Density, ", bench.options.pods, " pods"));
  Sweep sweep(bench, "density");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    Standing& standing = standings[&engine];
    standing = {&engine, std::make_unique<Population>(engine), {}};
    return growAndWeigh(bench, density, standing);
  }));
  density.note(
      "Proportional set sizes, with all resident pages of libraries that berth-bench maps too. "
      "Payloads are not counted, pause processes are. Engines of one binary share its pages.");
  if (bench.wants("density")) bench.report.sections.push_back(std::move(density));
  if (bench.wants("stats")) BERTH_RETURN_IF_ERROR(runLists(bench, sweep));
  if (bench.wants("idle")) BERTH_RETURN_IF_ERROR(runIdle(bench, sweep, standings));
  if (bench.wants("restart")) BERTH_RETURN_IF_ERROR(runRestart(bench, sweep, standings));
  return sweep.each(
      [&](Engine& engine) { return standings[&engine].population->remove(kGrowWidth); });
}

}  // namespace berth::bench
