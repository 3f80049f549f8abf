// Runtimes that were left out of service at the daemon's start, and come back while it runs.
#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "engine/engine.hpp"
#include "engine/recovery.hpp"

namespace berth::engine {

using support::fromAbsl;
using support::strCat;

namespace {

// As long as a start has for it.
constexpr std::chrono::seconds kTryTime{70};
// Each try loads and starts the plugin, and runs what that runs.
constexpr Pauses kPauses{std::chrono::seconds(10), std::chrono::seconds(60)};

std::string taskOf(const plugins::Failure& out) {
  return strCat("put the runtime ", out.wanted.name, " into service");
}

}  // namespace

void Recovery::tryRuntimesAgain() {
  for (const plugins::Failure& out : engine_.registry_.failures()) {
    {
      const std::lock_guard lock(takingUp_);
      out_.insert(out.wanted.name);
    }
    engine_.retries_.addLater(
        {.name = taskOf(out),
         .time = kTryTime,
         .logged = false,
         .pauses = kPauses,
         .work = [this, name = out.wanted.name, said = std::string(out.status.message())](
                     plugins::Operation& op) mutable { return tryAgain(op, name, said); }});
  }
}

absl::Status Recovery::tryAgain(plugins::Operation& op, const std::string& runtime,
                                std::string& said) {
  absl::Status tried = engine_.registry_.tryAgain(op, plugins::Kind::kRuntime, runtime);
  // Somebody else may have put it into service, and have got no further.
  if (tried.ok() || absl::IsAlreadyExists(tried)) {
    takeUp(runtime);
    return absl::OkStatus();
  }
  if (const std::string why(tried.message()); why != said && !absl::IsCancelled(tried)) {
    said = why;
    common::logError("a runtime is still out of service", {{"runtime", runtime}, {"error", why}});
  }
  return tried;
}

std::vector<std::string> Recovery::hurryRuntimes() {
  std::vector<std::string> runtimes;
  for (const plugins::Failure& out : engine_.registry_.failures()) {
    engine_.retries_.hurry(taskOf(out));
    runtimes.push_back(out.wanted.name);
  }
  return runtimes;
}

void Recovery::takeUp(const std::string& name) {
  const std::lock_guard alone(takingUp_);
  const auto runtime = engine_.registry_.runtime(name);
  if (!runtime.ok()) return;
  size_t pods = 0;
  for (const auto& pod : engine_.pods()) {
    // What nobody is missed for goes on as it is.
    if (pod->runtimeName() != name || engine_.holderOf(*pod).ok()) continue;
    if (!putOn(*pod, *runtime)) continue;
    recoverPod(pod);
    ++pods;
  }
  if (out_.erase(name) > 0)
    common::logInfo("a runtime is in service again",
                    {{"runtime", name}, {"pods", std::to_string(pods)}});
}

}  // namespace berth::engine
