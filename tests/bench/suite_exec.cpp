// ExecSync alone, in a container that stays.
#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {

absl::Status runExec(Bench& bench) {
  bench.progress(absl::StrCat("exec: ", bench.options.execRounds, " rounds"));
  std::map<Engine*, std::unique_ptr<Population>> populations;
  Sweep sweep(bench, "exec");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    auto& population = populations[&engine];
    population = std::make_unique<Population>(engine);
    return population->grow(1, 1);
  }));
  const auto exec = [&](Engine& engine) {
    return engine.client().execSync(populations[&engine]->pods().front().container, {"/bin/true"});
  };
  BERTH_RETURN_IF_ERROR(sweep.rounds(bench.options.warmup, exec));
  Section section("exec", "ExecSync in a running container");
  BERTH_RETURN_IF_ERROR(sweep.rounds(bench.options.execRounds, [&](Engine& engine) {
    const Clock::time_point begin = Clock::now();
    absl::Status status = exec(engine);
    if (status.ok()) {
      section.add("ExecSync true", "ms", engine.name(), milliseconds(Clock::now() - begin));
    }
    return status;
  }));
  BERTH_RETURN_IF_ERROR(
      sweep.each([&](Engine& engine) { return populations[&engine]->remove(1); }));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
