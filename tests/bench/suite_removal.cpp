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

// More than an image's files last, less than a pod's containers on a node's worst day.
constexpr int kCreates = 60;

absl::Status createSome(const Bench& bench, Section& section, Engine& engine, const RunningPod& pod,
                        absl::string_view row, std::vector<std::string>& created) {
  for (int number = 0; number < kCreates; ++number) {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    const Clock::time_point begin = Clock::now();
    const auto container =
        engine.client().createContainer(engine.podSpec(PodNetwork::kCni), pod.pod,
                                        {.name = absl::StrCat("created-", created.size())});
    BERTH_RETURN_IF_ERROR(container.status());
    section.add(row, "ms", engine.name(), milliseconds(Clock::now() - begin));
    created.push_back(*container);
  }
  return absl::OkStatus();
}

absl::Status createDuringRemoval(const Bench& bench, Section& section, Engine& engine,
                                 const RunningPod& pod, std::vector<std::string>& created) {
  absl::Status removed;
  double took = 0;
  std::thread removal([&] {
    const Clock::time_point begin = Clock::now();
    removed = engine.client().removeImage(bench.options.pullImage);
    took = milliseconds(Clock::now() - begin);
  });
  const absl::Status creating =
      createSome(bench, section, engine, pod, "CreateContainer, an image being removed", created);
  removal.join();
  section.add("RemoveImage", "ms", engine.name(), took);
  BERTH_RETURN_IF_ERROR(creating);
  return removed;
}

absl::Status measureOnce(const Bench& bench, Section& section, Engine& engine,
                         const RunningPod& pod) {
  BERTH_RETURN_IF_ERROR(engine.client().pullImage(bench.options.pullImage));
  // The pull's dirty pages are nobody's to wait for.
  ::sync();
  std::vector<std::string> created;
  support::StatusCollector problems;
  problems.add(createSome(bench, section, engine, pod, "CreateContainer", created));
  problems.add(createDuringRemoval(bench, section, engine, pod, created));
  for (const std::string& container : created)
    problems.add(engine.client().removeContainer(container));
  return problems.status();
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
