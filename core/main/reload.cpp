#include "main/reload.hpp"

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "cri/convert.hpp"
#include "main/wiring.hpp"

namespace berth::program {

namespace {

void logChange(const config::Change& change) {
  common::logInfo(change.reload == config::Reload::kLive
                      ? "a value of the configuration has changed"
                      : "a value of the configuration waits for the next start",
                  {{"key", change.key}, {"from", change.from}, {"to", change.to}});
}

void fill(berth::admin::v1::Change& told, const config::Change& change) {
  told.set_key(change.key);
  told.set_from(change.from);
  told.set_to(change.to);
  told.set_restart(change.reload == config::Reload::kRestart);
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
  // A default runtime that is new is there after the next start only.
  if (!running_.runtimes.contains(next.defaultRuntime))
    return absl::InvalidArgumentError(support::strCat(
        "default_runtime: the running daemon has no runtime \"", next.defaultRuntime,
        "\" yet; restart it for [runtimes.", next.defaultRuntime, "] to take effect"));
  BERTH_RETURN_IF_ERROR(common::resumeLog(logSettings(next).level));
  // From here on nothing fails.
  engine_.prefer(std::move(preferences));
  std::vector<config::Change> changes = config::changesBetween(running_, wanted);
  running_ = next;
  wanted_ = wanted;
  for (const config::Change& change : changes) logChange(change);
  common::logInfo("the configuration was read anew", {{"changes", std::to_string(changes.size())}});
  return changes;
}

grpc::Status AdminService::Reload(grpc::ServerContext* /*context*/,
                                  const berth::admin::v1::ReloadRequest* /*request*/,
                                  berth::admin::v1::ReloadResponse* response) {
  const auto changes = reloader_.reload();
  if (!changes.ok()) {
    common::logWarning("the configuration stays as it was",
                       {{"error", changes.status().ToString()}});
    return cri::toGrpc(changes.status());
  }
  for (const config::Change& change : *changes) fill(*response->add_changes(), change);
  return grpc::Status::OK;
}

grpc::Status AdminService::Configuration(grpc::ServerContext* /*context*/,
                                         const berth::admin::v1::ConfigurationRequest* /*request*/,
                                         berth::admin::v1::ConfigurationResponse* response) {
  const Reloader::Running running = reloader_.running();
  response->set_toml(config::dump(running.config));
  for (const config::Change& change : running.pending) fill(*response->add_pending(), change);
  return grpc::Status::OK;
}

}  // namespace berth::program
