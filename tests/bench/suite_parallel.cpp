// Many pods at once: how many an engine brings up, and takes down, in a second, with the bare
// programs as one more subject.
#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "in_parallel.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

using BarePods = std::vector<std::unique_ptr<BarePod>>;

// The calls of a pod that Population makes of an engine.
absl::Status startPod(BarePod& pod) {
  BERTH_RETURN_IF_ERROR(pod.addNetwork());
  BERTH_RETURN_IF_ERROR(pod.createContainer());
  return pod.startContainer();
}

absl::Status removePod(BarePod& pod) {
  BERTH_RETURN_IF_ERROR(pod.kill());
  BERTH_RETURN_IF_ERROR(pod.deleteContainer());
  return pod.deleteNetwork();
}

absl::StatusOr<BarePods> preparePods(const Bench& bench, BarePrograms& programs) {
  BarePods pods;
  for (int i = 0; i < bench.options.parallelPods; ++i) {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    BERTH_ASSIGN_OR_RETURN(auto pod, BarePod::prepare(programs, PodNetwork::kCni));
    pods.push_back(std::move(pod));
  }
  return pods;
}

// Adds what each of the two, which act on all of a round's pods, does in a second.
absl::Status timeBoth(const Bench& bench, Section& section, absl::string_view subject,
                      const std::function<absl::Status()>& start,
                      const std::function<absl::Status()>& remove) {
  const auto time = [&](absl::string_view row, const auto& act) -> absl::Status {
    const Clock::time_point begin = Clock::now();
    BERTH_RETURN_IF_ERROR(act());
    const double seconds = milliseconds(Clock::now() - begin) / 1000;
    section.add(row, "pods/s", subject, bench.options.parallelPods / seconds);
    return absl::OkStatus();
  };
  BERTH_RETURN_IF_ERROR(time("pods to running", start));
  return time("stopped and removed", remove);
}

absl::Status measureEngine(const Bench& bench, Section& section, Engine& engine) {
  const Options& options = bench.options;
  Population population(engine);
  return timeBoth(
      bench, section, engine.name(),
      [&] { return population.grow(options.parallelPods, options.parallelWidth); },
      [&] { return population.remove(options.parallelWidth); });
}

absl::Status measureBare(const Bench& bench, Section& section, BarePrograms& programs) {
  const int width = bench.options.parallelWidth;
  // What still stands when they go is removed then.
  BERTH_ASSIGN_OR_RETURN(const BarePods pods, preparePods(bench, programs));
  const int count = static_cast<int>(pods.size());
  const auto start = [&](int i) -> absl::Status {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    return startPod(*pods[static_cast<size_t>(i)]);
  };
  const auto remove = [&](int i) { return removePod(*pods[static_cast<size_t>(i)]); };
  BERTH_RETURN_IF_ERROR(timeBoth(
      bench, section, kBare, [&] { return inParallel(count, width, start); },
      [&] { return eachInParallel(count, width, remove); }));
  support::StatusCollector problems;
  for (const auto& pod : pods) problems.add(pod->reset());
  return problems.status();
}

}  // namespace

absl::Status runParallel(Bench& bench) {
  const Options& options = bench.options;
  const std::string what =
      absl::StrCat(options.parallelPods, " pods, ", options.parallelWidth, " at once");
  bench.progress(absl::StrCat("parallel: ", options.parallelRounds, " rounds of ", what));
  Section section("parallel", absl::StrCat("Parallel: ", what));
  Sweep sweep(bench, "parallel");
  for (int round = 0; round < options.parallelRounds; ++round) {
    BERTH_RETURN_IF_ERROR(
        sweep.each([&](Engine& engine) { return measureEngine(bench, section, engine); }));
    BERTH_RETURN_IF_ERROR(
        sweep.bare([&](BarePrograms& programs) { return measureBare(bench, section, programs); }));
  }
  if (bench.bare != nullptr) {
    section.note(
        "The bare pods have a container each and no pause container; their network namespaces and "
        "bundles are made before what is timed, and removed after it.");
  }
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
