// What standing pods cost while nothing happens to them: the processor time of an engine and of
// its helpers, left alone and with the calls that a kubelet makes all the time.
#include <functional>
#include <thread>

#include <absl/strings/str_cat.h>

#include "berth/support/status.hpp"
#include "procfs.hpp"
#include "standing.hpp"

namespace berth::bench {
namespace {

// The kubelet's longest period of those below.
constexpr int kSeconds = 10;

// What a kubelet asks in a second: its pod life cycle event generator relists (1 s), it looks
// whether the runtime is up (5 s), and what is used (10 s).
absl::Status askAsKubelet(CriClient& client, int second) {
  BERTH_RETURN_IF_ERROR(client.listPods("").status());
  BERTH_RETURN_IF_ERROR(client.countContainers().status());
  if (second % 5 == 0) BERTH_RETURN_IF_ERROR(client.ready());
  if (second % kSeconds != 0) return absl::OkStatus();
  BERTH_RETURN_IF_ERROR(client.countContainerStats().status());
  return client.imageFilesystemBytes().status();
}

struct Spent {
  double daemon = 0;  // seconds
  double helpers = 0;
};

absl::StatusOr<Spent> spent(const Standing& standing) {
  Spent result;
  BERTH_ASSIGN_OR_RETURN(result.daemon, ownCpuSeconds(standing.engine->daemonPid()));
  for (const Helper& helper : standing.helpers) {
    BERTH_ASSIGN_OR_RETURN(const double one, ownCpuSeconds(helper.pid));
    result.helpers += one;
  }
  return result;
}

using Act = std::function<absl::Status(CriClient&, int second)>;

absl::Status measure(const Bench& bench, Section& section, const Standing& standing,
                     absl::string_view how, const Act& act) {
  BERTH_ASSIGN_OR_RETURN(const Spent before, spent(standing));
  const Clock::time_point begin = Clock::now();
  for (int second = 0; second < kSeconds; ++second) {
    BERTH_RETURN_IF_ERROR(bench.interrupt.status());
    BERTH_RETURN_IF_ERROR(act(standing.engine->client(), second));
    std::this_thread::sleep_until(begin + std::chrono::seconds(second + 1));
  }
  const double seconds = milliseconds(Clock::now() - begin) / 1000;
  BERTH_ASSIGN_OR_RETURN(const Spent after, spent(standing));
  const auto add = [&](absl::string_view whose, double used) {
    section.add(absl::StrCat(whose, ", ", how), "ms/s", standing.engine->name(),
                used * 1000 / seconds);
  };
  add("daemon", after.daemon - before.daemon);
  add("all other processes", after.helpers - before.helpers);
  return absl::OkStatus();
}

absl::Status measureBoth(const Bench& bench, Section& section, const Standing& standing) {
  const auto leaveAlone = [](CriClient&, int) { return absl::OkStatus(); };
  BERTH_RETURN_IF_ERROR(measure(bench, section, standing, "left alone", leaveAlone));
  return measure(bench, section, standing, "asked by a kubelet", askAsKubelet);
}

}  // namespace

absl::Status runIdle(Bench& bench, Sweep& sweep, const Standings& standings) {
  Section section("idle", absl::StrCat("At rest, ", bench.options.pods, " pods"));
  BERTH_RETURN_IF_ERROR(sweep.rounds(bench.options.idleRounds, [&](Engine& engine) {
    return measureBoth(bench, section, standings.at(&engine));
  }));
  section.note(
      "Processor time in ten seconds. A kubelet lists pods and containers each second, asks for "
      "the status every five, and for statistics and the images' file system every ten. Without "
      "children that a process has waited for.");
  bench.report.sections.push_back(std::move(section));
  return absl::OkStatus();
}

}  // namespace berth::bench
