#include "main/reload.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "main/examination.hpp"
#include "main/surroundings.hpp"
#include "main/wiring.hpp"
#include "signatures/policy.hpp"

namespace berth::program {

namespace {

void logChange(const config::Change& change) {
  common::logInfo(change.reload == config::Reload::kLive
                      ? "a value of the configuration has changed"
                      : "a value of the configuration waits for the next start",
                  {{"key", change.key}, {"from", change.from}, {"to", change.to}});
}

// What waits for the next start must not be what that start refuses. Nothing of it is started.
absl::Status checkNextStart(const config::Config& wanted, const common::HostFacts& host) {
  BERTH_RETURN_IF_ERROR(engineSettings(wanted, host).status());
  for (const Surrounding& one : checkSurroundings(wanted)) BERTH_RETURN_IF_ERROR(one.status);
  const plugins::HostServices services = servicesWithoutDaemon(wanted);
  plugins::Registry registry(wanted.pluginDirs, services);
  return registry.load(wantedPlugins(wanted));
}

bool waitsForStart(const config::Change& change) {
  return change.reload == config::Reload::kRestart;
}

}  // namespace

Reloader::Running Reloader::running() {
  std::lock_guard lock(mutex_);
  return {withAllOptions(running_, engine_.registry()), config::changesBetween(running_, wanted_)};
}

absl::StatusOr<std::vector<config::Change>> Reloader::reload() {
  std::lock_guard lock(mutex_);
  BERTH_ASSIGN_OR_RETURN(const config::Config wanted, config::load(paths_));
  const config::Config next = config::withLiveChanges(running_, wanted);
  BERTH_ASSIGN_OR_RETURN(engine::Preferences preferences, enginePreferences(next, engine_.host()));
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const signatures::Policy> policy, signaturePolicy(next));
  // A default runtime that is new is there after the next start only.
  if (!running_.runtimes.contains(next.defaultRuntime))
    return absl::InvalidArgumentError(support::strCat(
        "default_runtime: the running daemon has no runtime \"", next.defaultRuntime,
        "\" yet; restart it for [runtimes.", next.defaultRuntime, "] to take effect"));
  std::vector<config::Change> changes = config::changesBetween(running_, wanted);
  if (std::any_of(changes.begin(), changes.end(), waitsForStart))
    BERTH_RETURN_IF_ERROR(checkNextStart(wanted, engine_.host()));
  BERTH_RETURN_IF_ERROR(common::resumeLog(logSettings(next).level));
  // From here on nothing fails.
  engine_.prefer(std::move(preferences));
  images_.judgeBy(std::move(policy));
  images_.completeBy(shortNames(next));
  images_.limitWrites(imageOptions(next).writeBytesPerSecond);
  running_ = next;
  wanted_ = wanted;
  for (const config::Change& change : changes) logChange(change);
  common::logInfo("the configuration was read anew", {{"changes", std::to_string(changes.size())}});
  return changes;
}

}  // namespace berth::program
