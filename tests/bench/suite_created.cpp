// Lists of very many containers, which do not run: how long they take, and creating them.
#include <map>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

// As many as a node's pods have at most, more or less.
constexpr int kPerPod = 50;

absl::Status create(const Bench& bench, Section& section, Engine& engine, Population& population) {
  BERTH_RETURN_IF_ERROR(
      population.grow((bench.options.createdContainers + kPerPod - 1) / kPerPod, 4));
  for (int number = 0; number < bench.options.createdContainers; ++number) {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    const RunningPod& pod = population.pods()[static_cast<size_t>(number / kPerPod)];
    const Clock::time_point begin = Clock::now();
    const auto container =
        engine.client().createContainer(engine.podSpec(PodNetwork::kCni), pod.pod,
                                        {.name = absl::StrCat("created-", number % kPerPod)});
    BERTH_RETURN_IF_ERROR(container.status());
    section.add("CreateContainer", "ms", engine.name(), milliseconds(Clock::now() - begin));
  }
  return absl::OkStatus();
}

absl::Status list(const Bench& bench, Section& section, Engine& engine) {
  const Clock::time_point begin = Clock::now();
  BERTH_ASSIGN_OR_RETURN(const size_t count, engine.client().countContainers());
  section.add("ListContainers", "ms", engine.name(), milliseconds(Clock::now() - begin));
  if (count >= static_cast<size_t>(bench.options.createdContainers)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("ListContainers: ", count, " containers where at least ",
                                          bench.options.createdContainers, " are"));
}

}  // namespace

absl::Status runCreated(Bench& bench) {
  const Options& options = bench.options;
  bench.progress(absl::StrCat("created: ", options.createdContainers, " containers"));
  std::map<Engine*, std::unique_ptr<Population>> populations;
  Section section("created", absl::StrCat("Lists, ", options.createdContainers, " containers"));
  Sweep sweep(bench, "created");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    auto& population = populations[&engine];
    population = std::make_unique<Population>(engine);
    return create(bench, section, engine, *population);
  }));
  BERTH_RETURN_IF_ERROR(sweep.rounds(options.statsRounds,
                                     [&](Engine& engine) { return list(bench, section, engine); }));
  section.note(absl::StrCat("Containers that are created and not started, ", kPerPod,
                            " in each pod. Lists are timed once all engines have theirs."));
  BERTH_RETURN_IF_ERROR(
      sweep.each([&](Engine& engine) { return populations[&engine]->remove(4); }));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
