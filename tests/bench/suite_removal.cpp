// Creating containers while an image is being removed, beside the same without it.
#include <algorithm>
#include <map>
#include <sys/statvfs.h>
#include <thread>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "population.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

// So many that one in a hundred is several in each round; they take less time than an image's files
// last, which is measured, too.
constexpr int kCreates = 400;

// Files that the engines' file system can still take: a deletion gives them back.
int64_t freeFiles(const Bench& bench) {
  struct statvfs info = {};
  return ::statvfs(bench.workspace.directory().c_str(), &info) == 0
             ? static_cast<int64_t>(info.f_ffree)
             : 0;
}

// Until nothing is deleted any more: an engine may do that after it has answered.
absl::Status awaitDeletions(const Bench& bench) {
  constexpr std::chrono::seconds kPause{1};
  for (int64_t free = -1; free != freeFiles(bench);) {
    free = freeFiles(bench);
    std::this_thread::sleep_for(kPause);
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
  }
  return absl::OkStatus();
}

// Each phase begins with as many containers as the other. Gives how many files were free when the
// last one had been created.
absl::StatusOr<int64_t> createAndRemove(const Bench& bench, Section& section, Engine& engine,
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
  const int64_t free = freeFiles(bench);
  for (const std::string& container : created)
    problems.add(engine.client().removeContainer(container));
  BERTH_RETURN_IF_ERROR(problems.status());
  return free;
}

absl::StatusOr<int64_t> createDuringRemoval(const Bench& bench, Section& section, Engine& engine,
                                            const RunningPod& pod) {
  absl::Status removed;
  double took = 0;
  std::thread removal([&] {
    const Clock::time_point begin = Clock::now();
    removed = engine.client().removeImage(bench.options.pullImage);
    took = milliseconds(Clock::now() - begin);
  });
  auto creating =
      createAndRemove(bench, section, engine, pod, "CreateContainer, an image being removed");
  removal.join();
  section.add("RemoveImage", "ms", engine.name(), took);
  BERTH_RETURN_IF_ERROR(creating.status());
  BERTH_RETURN_IF_ERROR(removed);
  return creating;
}

absl::Status measureOnce(const Bench& bench, Section& section, Engine& engine,
                         const RunningPod& pod) {
  BERTH_RETURN_IF_ERROR(engine.client().pullImage(bench.options.pullImage));
  BERTH_RETURN_IF_ERROR(bench.letFileSystemRest());
  const int64_t before = freeFiles(bench);
  BERTH_ASSIGN_OR_RETURN(const int64_t created,
                         createAndRemove(bench, section, engine, pod, "CreateContainer"));
  BERTH_RETURN_IF_ERROR(awaitDeletions(bench));
  BERTH_ASSIGN_OR_RETURN(const int64_t then, createDuringRemoval(bench, section, engine, pod));
  BERTH_RETURN_IF_ERROR(awaitDeletions(bench));
  // What has been given back since, without the containers' own.
  const int64_t left = freeFiles(bench) - then - (before - created);
  section.add("files of the image left then", "files", engine.name(),
              static_cast<double>(std::max<int64_t>(left, 0)));
  return absl::OkStatus();
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
                            "that moment on: those tell something as long as files of the image "
                            "are left."));
  BERTH_RETURN_IF_ERROR(
      sweep.each([&](Engine& engine) { return populations[&engine]->remove(1); }));
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
