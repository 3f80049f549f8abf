#include "engine/readiness.hpp"

#include <memory>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"

namespace berth::engine {

using common::Outage;
using support::strCat;
using Clock = Readiness::Clock;

namespace {

// Longer than a plugin's process takes to come back, or a disk that is busy to take a change.
constexpr std::chrono::seconds kLong{30};
// Between two questions to the default runtime, which answers them from memory.
constexpr std::chrono::seconds kAskPause{5};
constexpr std::chrono::seconds kAskPatience{1};

std::optional<Outage> outageOf(const plugins::Instance& instance) {
  const auto process = instance.process();
  return process ? process->outage : std::nullopt;
}

std::string snapshotterOf(const Settings& settings, const std::string& runtime) {
  const auto found = settings.snapshotters.find(runtime);
  return found == settings.snapshotters.end() ? settings.snapshotter : found->second;
}

// Whether the default runtime comes back from a question, which is asked beside whoever wants to
// know. Where it takes one call at a time, that another one has its turn is no silence, but that
// such a one has not come back in its time is. Who cannot be asked this question has answered.
class Answering {
 public:
  explicit Answering(Engine& engine) : engine_(engine) {}

  std::optional<Outage> outage(const std::shared_ptr<plugins::Runtime>& runtime) {
    const std::lock_guard lock(mutex_);
    // One that has taken the place of another is not silent because that one was.
    if (asked_.lock() != runtime) {
      asked_ = runtime;
      name_ = strCat("runtime ", runtime->name(), ++forms_ == 1 ? "" : strCat(", form ", forms_));
      next_ = {};
    }
    if (Clock::now() >= next_) {
      next_ = Clock::now() + kAskPause;
      engine_.runLater([&engine = engine_, runtime, name = name_] { ask(engine, runtime, name); });
    }
    auto since = engine_.operations().rounds().leftSince(name_);
    const plugins::Instance& instance = runtime->instance();
    if (!since && instance.library().description().threading == BERTH_THREADING_SERIALIZED)
      since = instance.overdueSince();
    if (!since) return std::nullopt;
    return Outage{*since, strCat("plugin ", runtime->name(), " does not answer")};
  }

 private:
  static void ask(Engine& engine, const std::shared_ptr<plugins::Runtime>& runtime,
                  const std::string& name) {
    engine.operations().rounds().ask<bool>(
        plugins::Operation("see whether the default runtime answers"), {name},
        [runtime](size_t, const plugins::Operation& op) -> absl::StatusOr<bool> {
          return runtime->checkCheckpoints(op).ok();
        },
        {.patience = kAskPatience});
  }

  Engine& engine_;
  std::mutex mutex_;
  std::weak_ptr<plugins::Runtime> asked_;
  std::string name_;
  unsigned forms_ = 0;
  Clock::time_point next_;
};

}  // namespace

Readiness::Verdict Readiness::judge(Clock::time_point now) {
  Verdict verdict;
  for (const Need& need : needs_) {
    const std::optional<Outage> outage = need.outage();
    if (!outage || now - outage->since < kLong) continue;
    // Without figures: whoever is told writes each change of it down.
    verdict = {false, need.reason, strCat("no new pod can work: ", outage->why)};
    break;
  }
  const std::lock_guard lock(mutex_);
  if (verdict.ready == ready_) return verdict;
  ready_ = verdict.ready;
  if (ready_) {
    common::logInfo("new pods can work again; the node is ready");
  } else {
    common::logError("the node is not ready",
                     {{"reason", verdict.reason}, {"error", verdict.message}});
  }
  return verdict;
}

std::vector<Readiness::Need> needsOfPods(Engine& engine, const store::Store& store) {
  const auto runtime = [&engine] {
    return engine.registry().runtime(engine.preferences()->defaultRuntime);
  };
  const auto process = [runtime]() -> std::optional<Outage> {
    const auto found = runtime();
    return found.ok() ? outageOf((*found)->instance()) : std::nullopt;
  };
  const auto answer = [runtime, answering = std::make_shared<Answering>(engine)] {
    const auto found = runtime();
    return found.ok() ? answering->outage(*found) : std::nullopt;
  };
  const auto snapshotter = [&engine]() -> std::optional<Outage> {
    const auto found = engine.registry().snapshotter(
        snapshotterOf(engine.settings(), engine.preferences()->defaultRuntime));
    return found.ok() ? outageOf((*found)->instance()) : std::nullopt;
  };
  return {{"RuntimePluginNotReady", process},
          {"RuntimePluginNotReady", answer},
          {"SnapshotterPluginNotReady", snapshotter},
          {"RecordsNotWritable", [&store] { return store.outage(); }}};
}

}  // namespace berth::engine
