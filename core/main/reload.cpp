#include "main/reload.hpp"

#include <algorithm>
#include <tuple>

#include <absl/cleanup/cleanup.h>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"
#include "main/next_start.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

constexpr std::string_view kTrial = "the next start to be tried in a process of its own";

void logChange(const config::Change& change) {
  common::logInfo(change.reload == config::Reload::kLive
                      ? "a value of the configuration has changed"
                      : "a value of the configuration waits for the next start",
                  {{"key", change.key}, {"from", change.from}, {"to", change.to}});
}

bool waitsForStart(const config::Config& now, const config::Config& then) {
  const std::vector<config::Change> changes = config::changesBetween(now, then);
  return std::any_of(changes.begin(), changes.end(), [](const config::Change& change) {
    return change.reload == config::Reload::kRestart;
  });
}

// Pods that begin before the next start would be of the folder of now, and that start be refused.
absl::Status refuseOtherFolders(const config::Config& running, const config::Config& wanted) {
  for (const auto& [key, now, then] : {std::tuple("root", running.root, wanted.root),
                                       std::tuple("state", running.state, wanted.state)}) {
    if (now != then)
      return config::atKey(wanted, key,
                           absl::FailedPreconditionError(support::strCat(
                               "is ", now,
                               " while this daemon runs; change it while none does, "
                               "on a drained node")));
  }
  return absl::OkStatus();
}

}  // namespace

Reloader::Running Reloader::running() {
  const std::lock_guard lock(mutex_);
  return {withAllOptions(running_, engine_.registry()), config::changesBetween(running_, wanted_)};
}

absl::StatusOr<Reloader::Reloaded> Reloader::reload(plugins::Operation& op) {
  Reloaded reloaded;
  const absl::Status status = support::returnThrown([&] {
    std::vector<std::string> tried = engine_.recovery().hurryRuntimes();
    BERTH_ASSIGN_OR_RETURN(reloaded, readAnew(op));
    reloaded.tried = std::move(tried);
    return absl::OkStatus();
  });
  if (status.ok()) return reloaded;
  common::logWarning("the configuration stays as it was",
                     {{"error", status.ToString(absl::StatusToStringMode::kWithNoExtraData)}});
  return status;
}

absl::StatusOr<Reloader::Reloaded> Reloader::readAnew(plugins::Operation& op) {
  const std::lock_guard alone(reloading_);
  BERTH_RETURN_IF_ERROR(op.check());
  BERTH_ASSIGN_OR_RETURN(const config::Config wanted, config::load(paths_));
  std::unique_lock lock(mutex_);
  const config::Config running = running_;
  const config::Config accepted = accepted_;
  lock.unlock();
  const config::Config next = config::withLiveChanges(running, wanted);
  BERTH_ASSIGN_OR_RETURN(engine::Preferences preferences, enginePreferences(next, engine_.host()));
  BERTH_ASSIGN_OR_RETURN(std::shared_ptr<const signatures::Policy> policy, signaturePolicy(next));
  // A default runtime that is new is there after the next start only.
  if (!running.runtimes.contains(next.defaultRuntime))
    return absl::InvalidArgumentError(support::strCat(
        "default_runtime: the running daemon has no runtime \"", next.defaultRuntime,
        "\" yet; restart it for [runtimes.", next.defaultRuntime, "] to take effect"));
  BERTH_RETURN_IF_ERROR(
      support::annotate(registry_.runtime(next.defaultRuntime).status(), "default_runtime"));
  BERTH_RETURN_IF_ERROR(refuseOtherFolders(running, wanted));
  const bool waits = waitsForStart(running, wanted);
  const bool isNew = waits && waitsForStart(accepted, wanted);
  if (isNew) BERTH_RETURN_IF_ERROR(judgeWaiting(op, wanted));
  BERTH_RETURN_IF_ERROR(common::resumeLog(logSettings(next).level));
  Reloaded reloaded;
  reloaded.changes = takeUp(wanted, std::move(preferences), std::move(policy));
  // Who changes something else is not kept from it, but should know.
  if (waits && !isNew) reloaded.nextStart = nextRefusal(op);
  return reloaded;
}

// What is to wait for the next start must not be what that start refuses.
absl::Status Reloader::judgeWaiting(plugins::Operation& op, const config::Config& wanted) {
  op.setStage(kTrial);
  BERTH_RETURN_IF_ERROR(judgeNextStart(op, paths_));
  BERTH_ASSIGN_OR_RETURN(const config::Config judged, config::load(paths_));
  if (!config::changesBetween(wanted, judged).empty())
    return absl::AbortedError("the files have changed while they were read; reload them again");
  return absl::OkStatus();
}

// What waits was accepted, and the host has changed since. Empty: it is still good, or nobody
// knows.
std::string Reloader::nextRefusal(plugins::Operation& op) {
  op.setStage(kTrial);
  const absl::Status judged = judgeNextStart(op, paths_);
  if (!absl::IsInvalidArgument(judged)) return {};
  std::string why(judged.message());
  common::logWarning("what waits for the next start would by now be refused", {{"error", why}});
  return why;
}

// Nothing fails.
std::vector<config::Change> Reloader::takeUp(const config::Config& wanted,
                                             engine::Preferences preferences,
                                             std::shared_ptr<const signatures::Policy> policy) {
  const std::lock_guard lock(mutex_);
  // A plugin may have been replaced since.
  std::vector<config::Change> changes = config::changesBetween(running_, wanted);
  if (policy != nullptr && policy_ != nullptr && policy->path() == policy_->path() &&
      policy->texts() != policy_->texts())
    changes.push_back({"images.signature_policy", policy->path(),
                       "read anew, since it or a key of it has changed", config::Reload::kLive});
  running_ = config::withLiveChanges(running_, wanted);
  wanted_ = accepted_ = wanted;
  policy_ = policy;
  engine_.prefer(std::move(preferences));
  images_.judgeBy(std::move(policy));
  images_.completeBy(shortNames(running_));
  images_.limitWrites(imageOptions(running_).writeBytesPerSecond);
  for (const config::Change& change : changes) logChange(change);
  common::logInfo("the configuration was read anew", {{"changes", std::to_string(changes.size())}});
  return changes;
}

void Reloader::reloadBeside() {
  const std::lock_guard lock(mutex_);
  if (beside_ != Beside::kIdle) {
    beside_ = Beside::kAskedAgain;
    return;
  }
  const absl::Status begun = support::returnThrown([this] {
    return background_->run("the configuration to be read anew", [this] { reloadAsAsked(); });
  });
  if (begun.ok()) {
    beside_ = Beside::kUnderWay;
  } else {
    common::logWarning("the configuration stays as it was", {{"error", begun.ToString()}});
  }
}

void Reloader::reloadAsAsked() {
  for (;;) {
    const absl::Status thrown = support::returnThrown([this] {
      plugins::Operation op("Reload", plugins::Operation::Clock::now() + kTime);
      const absl::Cleanup over = [this] { endsWith(nullptr); };
      endsWith(&op);
      reload(op).IgnoreError();  // is logged
      return absl::OkStatus();
    });
    if (!thrown.ok())
      common::logWarning("the configuration stays as it was", {{"error", thrown.ToString()}});
    const std::lock_guard lock(mutex_);
    const bool again = beside_ == Beside::kAskedAgain && !ending_;
    beside_ = again ? Beside::kUnderWay : Beside::kIdle;
    if (!again) return;
  }
}

// The operation that finish() cancels.
void Reloader::endsWith(plugins::Operation* op) {
  const std::lock_guard lock(mutex_);
  besideOp_ = op;
  if (op != nullptr && ending_) op->cancel();
}

void Reloader::finish() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (besideOp_ != nullptr) besideOp_->cancel();
  }
  background_->finish();
}

}  // namespace berth::program
