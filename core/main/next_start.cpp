#include "main/next_start.hpp"

#include <chrono>
#include <optional>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "main/examination.hpp"
#include "main/surroundings.hpp"
#include "main/wiring.hpp"

namespace berth::program {

// Belongs to whoever judges and to the thread that calls the plugins, which may be the last.
struct NextStart::Trial {
  Trial(config::Config what, plugins::Operation::Clock::time_point deadline)
      : wanted(std::move(what)), op("load and configure the next start's plugins", deadline) {}

  const config::Config wanted;
  plugins::Operation op;                // its stage is what it waits for
  std::optional<absl::Status> verdict;  // with the mutex
};

bool NextStart::underWay() const {
  return trial_ != nullptr && !trial_->verdict.has_value();
}

// On a thread of its own.
void NextStart::hold(Trial& trial) {
  const absl::Status verdict = support::returnThrown([&] {
    const plugins::HostServices services = servicesWithoutDaemon(trial.wanted);
    plugins::Registry registry(trial.wanted.pluginDirs, services);
    const absl::Status loaded =
        registry.load(wantedPlugins(trial.wanted),
                      [&trial](const std::string& next) { trial.op.setStage(next); });
    trial.op.setStage("plugins to be destroyed");
    return loaded;
  });
  const std::lock_guard lock(mutex_);
  trial.verdict = verdict;
  changed_.notify_all();
}

// OK once none is under way.
absl::Status NextStart::awaitTrial(const plugins::Operation& op) {
  // A cancelled operation wakes nobody.
  constexpr auto kLookAgain = std::chrono::milliseconds(20);
  std::unique_lock lock(mutex_);
  while (underWay() && !ending_ && !op.cancelled() && !trial_->op.cancelled())
    changed_.wait_for(lock, kLookAgain);
  if (ending_) return absl::UnavailableError("the daemon is ending");
  if (!underWay()) return absl::OkStatus();
  absl::Status late = trial_->op.check();
  if (late.ok()) late = op.check();
  return absl::Status(late.code(),
                      support::strCat("waited in vain for ", trial_->op.stage(),
                                      ", to find out whether a start would accept this; until that "
                                      "returns or the daemon is restarted, nothing that waits for "
                                      "a start is taken up"));
}

absl::Status NextStart::judge(const plugins::Operation& op, const config::Config& wanted,
                              const common::HostFacts& host) {
  // One that was given up before, first of all: what holds the dynamic linker holds others up.
  BERTH_RETURN_IF_ERROR(awaitTrial(op));
  BERTH_RETURN_IF_ERROR(engineSettings(wanted, host).status());
  for (const Surrounding& one : checkSurroundings(wanted)) BERTH_RETURN_IF_ERROR(one.status);
  const auto trial = std::make_shared<Trial>(wanted, op.deadline());
  {
    const std::lock_guard lock(mutex_);
    trial_ = trial;
  }
  const absl::Status begun =
      background_->run("plugins to be tried", [this, trial] { hold(*trial); });
  if (!begun.ok()) {
    const std::lock_guard lock(mutex_);
    trial->verdict = begun;
  }
  BERTH_RETURN_IF_ERROR(awaitTrial(op));
  const std::lock_guard lock(mutex_);
  return *trial->verdict;
}

void NextStart::finish(const plugins::Registry::Before& before) {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    if (underWay() && before) before(trial_->op.stage());
  }
  changed_.notify_all();
  background_->finish();
}

}  // namespace berth::program
