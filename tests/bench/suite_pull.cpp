// A pull of an image that the engine does not have, and what it costs the daemon.
#include <map>
#include <thread>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "procfs.hpp"
#include "suites.hpp"

namespace berth::bench {
namespace {

constexpr double kMib = 1024.0 * 1024.0;

// What the engine's images used before its last pull and after it.
struct Usage {
  uint64_t before = 0;
  uint64_t after = 0;
};

// Engines may free an image's layers after RemoveImage has returned. A pull that finds them is
// none.
absl::Status removeWholly(const Bench& bench, Engine& engine, const Usage& last) {
  constexpr auto kPatience = std::chrono::minutes(2);
  constexpr auto kPause = std::chrono::milliseconds(100);
  BERTH_RETURN_IF_ERROR(engine.client().removeImage(bench.options.pullImage));
  const uint64_t freed = last.before + (last.after - std::min(last.before, last.after)) / 100;
  const Clock::time_point begin = Clock::now();
  while (last.after > last.before) {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    BERTH_ASSIGN_OR_RETURN(const uint64_t used, engine.client().imageFilesystemBytes());
    if (used <= freed) break;
    if (Clock::now() - begin > kPatience) {
      return absl::DeadlineExceededError(
          absl::StrCat("ImageFsInfo: two minutes after RemoveImage of ", bench.options.pullImage,
                       " ", used, " bytes are used; before its pull it were ", last.before));
    }
    std::this_thread::sleep_for(kPause);
  }
  return absl::OkStatus();
}

absl::Status pullOnce(const Bench& bench, Section& section, Engine& engine, Usage& usage) {
  const std::string& image = bench.options.pullImage;
  BERTH_ASSIGN_OR_RETURN(usage.before, engine.client().imageFilesystemBytes());
  BERTH_RETURN_IF_ERROR(resetPeakResident(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const double cpuBefore, cpuSeconds(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const uint64_t writtenBefore, bytesWritten(engine.daemonPid()));
  const Clock::time_point begin = Clock::now();
  BERTH_RETURN_IF_ERROR(engine.client().pullImage(image));
  const double seconds = milliseconds(Clock::now() - begin) / 1000;
  BERTH_ASSIGN_OR_RETURN(const double cpuAfter, cpuSeconds(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const uint64_t writtenAfter, bytesWritten(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const uint64_t peak, peakResidentKibibytes(engine.daemonPid()));
  BERTH_ASSIGN_OR_RETURN(const auto bytes, engine.client().imageBytes(image));
  if (!bytes.has_value()) {
    return absl::NotFoundError(absl::StrCat("ImageStatus: ", image, " is missing after its pull"));
  }
  BERTH_ASSIGN_OR_RETURN(usage.after, engine.client().imageFilesystemBytes());
  section.add("wall time", "s", engine.name(), seconds);
  section.add("daemon's CPU time", "s", engine.name(), cpuAfter - cpuBefore);
  section.add("daemon's peak RSS", "MiB", engine.name(), static_cast<double>(peak) / 1024);
  section.add("written by the daemon", "MiB", engine.name(),
              static_cast<double>(writtenAfter - writtenBefore) / kMib);
  section.add("size by ImageStatus", "MiB", engine.name(), static_cast<double>(*bytes) / kMib);
  return absl::OkStatus();
}

}  // namespace

absl::Status runPull(Bench& bench) {
  const Options& options = bench.options;
  bench.progress(absl::StrCat("pull: ", options.pullRounds, " rounds of ", options.pullImage));
  Section section("pull", absl::StrCat("Pull of ", options.pullImage));
  Sweep sweep(bench, "pull");
  std::map<const Engine*, Usage> usages;
  for (int round = 0; round < options.pullRounds; ++round) {
    BERTH_RETURN_IF_ERROR(
        sweep.each([&](Engine& engine) { return removeWholly(bench, engine, usages[&engine]); }));
    BERTH_RETURN_IF_ERROR(bench.letFileSystemRest());
    BERTH_RETURN_IF_ERROR(sweep.each([&](Engine& engine) {
      // The last engine's dirty pages are its own.
      ::sync();
      return pullOnce(bench, section, engine, usages[&engine]);
    }));
  }
  section.note(
      "The image was removed a minute before each round, and its layers were gone. CPU time "
      "includes child processes that the daemon has waited for; peak RSS and written bytes are the "
      "daemon's alone.");
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
