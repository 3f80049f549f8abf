// berth-bench: container engines over CRI, side by side.
#include <csignal>
#include <iostream>
#include <sys/utsname.h>
#include <thread>
#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <boost/json.hpp>

#include "berth/support/files.hpp"
#include "berth/support/status.hpp"
#include "procfs.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

std::string cgroupLayout() {
  if (support::pathExists("/sys/fs/cgroup/cgroup.controllers")) return "v2";
  return support::pathExists("/sys/fs/cgroup/unified") ? "v1 (hybrid)" : "v1";
}

void describeMachine(Bench& bench) {
  auto& machine = bench.report.machine;
  utsname names{};
  ::uname(&names);
  const auto memory = support::readFile("/proc/meminfo");
  const uint64_t total = memory.ok() ? parseKibibytes(*memory, "MemTotal").value_or(0) : 0;
  const auto runc = runProgram({bench.options.runc, "--version"});
  machine.emplace_back("kernel", names.release);
  machine.emplace_back("CPUs", absl::StrCat(std::thread::hardware_concurrency()));
  machine.emplace_back("memory", absl::StrCat(total / 1024, " MiB"));
  machine.emplace_back("cgroups", cgroupLayout());
  machine.emplace_back("state", "on a tmpfs, as /run is on a node");
  if (runc.ok()) {
    machine.emplace_back("runtime", std::string(runc->substr(0, runc->find('\n'))));
  }
  machine.emplace_back("image", bench.options.image);
}

absl::Status startEngines(Bench& bench) {
  int index = 0;
  for (const EngineSpec& spec : bench.options.engines) {
    bench.progress(absl::StrCat(spec.kind == EngineKind::kAttached ? "connecting to " : "starting ",
                                spec.name));
    BERTH_ASSIGN_OR_RETURN(auto engine, Engine::create(spec, index++, bench.options,
                                                       bench.workspace, bench.interrupt));
    BERTH_RETURN_IF_ERROR(
        support::annotate(engine->client().pullImage(bench.options.image), spec.name));
    bench.report.subjects.push_back({engine->name(), engine->description()});
    bench.engines.push_back(std::move(engine));
  }
  return absl::OkStatus();
}

absl::Status prepareBare(Bench& bench) {
  if (bench.options.rootfs.empty()) return absl::OkStatus();
  const int index = static_cast<int>(bench.engines.size());
  BERTH_ASSIGN_OR_RETURN(bench.bare, BarePrograms::create(bench.options, bench.workspace, index));
  bench.report.subjects.push_back({kBare, "the runtime and the CNI plugins alone"});
  return absl::OkStatus();
}

absl::Status runSuites(Bench& bench) {
  BERTH_RETURN_IF_ERROR(startEngines(bench));
  BERTH_RETURN_IF_ERROR(prepareBare(bench));
  if (bench.wants("cycle")) BERTH_RETURN_IF_ERROR(runCycle(bench, PodNetwork::kCni));
  if (bench.wants("hostnet")) BERTH_RETURN_IF_ERROR(runCycle(bench, PodNetwork::kHost));
  if (bench.wants("exec")) BERTH_RETURN_IF_ERROR(runExec(bench));
  if (bench.wants("parallel")) BERTH_RETURN_IF_ERROR(runParallel(bench));
  if (bench.wants("density") || bench.wants("stats") || bench.wants("idle") ||
      bench.wants("restart")) {
    BERTH_RETURN_IF_ERROR(runPopulation(bench));
  }
  if (bench.wants("created")) BERTH_RETURN_IF_ERROR(runCreated(bench));
  if (bench.wants("pull")) BERTH_RETURN_IF_ERROR(runPull(bench));
  if (bench.wants("removal")) BERTH_RETURN_IF_ERROR(runRemoval(bench));
  if (bench.wants("streams")) BERTH_RETURN_IF_ERROR(runStreams(bench));
  return absl::OkStatus();
}

absl::Status writeReport(const Bench& bench) {
  // Before that there is nothing but an error to tell.
  if (bench.report.sections.empty()) return absl::OkStatus();
  const std::string tables = toMarkdown(bench.report);
  std::cout << tables << std::flush;
  const auto write = [](const std::string& path, const std::string& content) {
    if (path.empty()) return absl::OkStatus();
    return support::replaceFile(path, content, 0644, support::Durability::kVisible);
  };
  BERTH_RETURN_IF_ERROR(write(bench.options.markdownFile, tables));
  return write(bench.options.jsonFile, boost::json::serialize(toJson(bench.report)) + "\n");
}

absl::Status measure(const Options& options, Workspace& workspace, Interrupt& interrupt) {
  Bench bench{options, workspace, interrupt, {}, {}, {.baseline = options.baseline}};
  describeMachine(bench);
  const absl::Status status = runSuites(bench);
  // What was measured until then is of use even when the run ends early.
  BERTH_RETURN_IF_ERROR(writeReport(bench));
  BERTH_RETURN_IF_ERROR(status);
  if (bench.report.failures.empty()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(bench.report.failures.size(), " calls failed"));
}

absl::Status run(const Options& options) {
  Interrupt interrupt;
  const SignalWatcher watcher(interrupt);
  BERTH_ASSIGN_OR_RETURN(const auto workspace,
                         Workspace::create(options.workDirectory, options.cgroupParent));
  support::StatusCollector problems;
  // The engines are stopped by the time it returns.
  problems.add(measure(options, *workspace, interrupt));
  problems.add(support::annotate(workspace->cleanUp(), "clean-up"));
  return problems.status();
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  const auto [options, code] = berth::bench::parseCommandLine(argc, argv);
  if (!options.has_value()) return code;
  std::signal(SIGPIPE, SIG_IGN);
  const absl::Status status = berth::bench::run(*options);
  if (status.ok()) return 0;
  std::cerr << "berth-bench: " << status.message() << "\n";
  return 1;
}
