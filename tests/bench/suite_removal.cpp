// Creating containers while an image is being removed, beside the same without it.
#include <map>
#include <thread>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

// So many that one in a hundred is several in each round; they take less time than an image's files
// last.
constexpr int kCreates = 400;

// Each phase begins with as many containers as the other.
absl::Status createAndRemove(const Bench& bench, Section& section, Engine& engine,
                             const RunningPod& pod, absl::string_view row) {
  std::vector<std::string> created;
  support::StatusCollector problems;
  for (int number = 0; number < kCreates && problems.ok(); ++number) {
    const Clock::time_point begin = Clock::now();
    const auto container = engine.client().createContainer(
        engine.podSpec(PodNetwork::kCni), pod.pod, {.name = absl::StrCat("created-", number)});
    problems.add(container.status());
    if (!container.ok()) break;
    section.add(row, "ms", engine.name(), milliseconds(Clock::now() - begin));
    created.push_back(*container);
    problems.add(bench.interrupt.status());
  }
  for (const std::string& container : created)
    problems.add(engine.client().removeContainer(container));
  return problems.status();
}

absl::Status createDuringRemoval(const Bench& bench, Section& section, Engine& engine,
                                 const RunningPod& pod) {
  absl::Status removed;
  double took = 0;
  std::thread removal([&] {
    const Clock::time_point begin = Clock::now();
    removed = engine.client().removeImage(bench.options.pullImage);
    took = milliseconds(Clock::now() - begin);
  });
  const absl::Status creating =
      createAndRemove(bench, section, engine, pod, "CreateContainer, an image being removed");
  removal.join();
  section.add("RemoveImage", "ms", engine.name(), took);
  BERTH_RETURN_IF_ERROR(creating);
  return removed;
}

absl::Status measureOnce(const Bench& bench, Section& section, Engine& engine,
                         const RunningPod& pod) {
  BERTH_RETURN_IF_ERROR(engine.client().pullImage(bench.options.pullImage));
  BERTH_RETURN_IF_ERROR(bench.letFileSystemRest());
  BERTH_RETURN_IF_ERROR(createAndRemove(bench, section, engine, pod, "CreateContainer"));
  return createDuringRemoval(bench, section, engine, pod);
}

}  // namespace

absl::Status runRemoval(Bench& bench) {
  const Options& options = bench.options;
  bench.progress(
      absl::StrCat("removal: ", options.removalRounds, " rounds with ", options.pullImage));
  std::map<Engine*, std::unique_ptr<Population>> populations;
  Section section("removal", absl::StrCat("Creating containers while ", options.pullImage,
                                          " is being removed"));
  Sweep sweep(bench, "removal");
  BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
    auto& population = populations[&engine];
    population = std::make_unique<Population>(engine);
    return population->grow(1, 1);
  }));
  BERTH_RETURN_IF_ERROR(sweep.rounds(options.removalRounds, [&](Engine& engine) {
    return measureOnce(bench, section, engine, populations[&engine]->pods().front());
  }));
  section.note(absl::StrCat("In each round the image is pulled, ", kCreates,
                            " containers are created, it is removed, and as many are created from "
                            "that moment on."));
  BERTH_RETURN_IF_ERROR(
      sweep.each([&](Engine& engine) { return populations[&engine]->remove(1); }));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
