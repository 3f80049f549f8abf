// Many pods at once: how many an engine brings up, and takes down, in a second.
#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {

absl::Status runParallel(Bench& bench) {
  const Options& options = bench.options;
  const std::string what =
      absl::StrCat(options.parallelPods, " pods, ", options.parallelWidth, " at once");
  bench.progress(absl::StrCat("parallel: ", options.parallelRounds, " rounds of ", what));
  Section section("parallel", absl::StrCat("Parallel: ", what));
  const auto rate = [&](Clock::time_point begin) {
    return options.parallelPods * 1000.0 / milliseconds(Clock::now() - begin);
  };
  const auto measure = [&](Engine& engine) -> absl::Status {
    Population population(engine);
    const Clock::time_point begin = Clock::now();
    BERTH_RETURN_IF_ERROR(population.grow(options.parallelPods, options.parallelWidth));
    section.add("pods to running", "pods/s", engine.name(), rate(begin));
    const Clock::time_point removal = Clock::now();
    BERTH_RETURN_IF_ERROR(population.remove(options.parallelWidth));
    section.add("stopped and removed", "pods/s", engine.name(), rate(removal));
    return absl::OkStatus();
  };
  Sweep sweep(bench, "parallel");
  BERTH_RETURN_IF_ERROR(sweep.rounds(options.parallelRounds, measure));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
