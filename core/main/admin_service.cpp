#include "main/admin_service.hpp"

#include "berth/support/status.hpp"
#include "common/log.hpp"
#include "cri/convert.hpp"

namespace berth::program {

namespace admin = berth::admin::v1;

namespace {

void fill(admin::Change& told, const config::Change& change) {
  told.set_key(change.key);
  told.set_from(change.from);
  told.set_to(change.to);
  told.set_restart(change.reload == config::Reload::kRestart);
}

void fill(admin::Timeline& told, const plugins::Timeline& timeline) {
  told.set_operation(timeline.operation);
  told.mutable_subjects()->Assign(timeline.subjects.begin(), timeline.subjects.end());
  told.set_begin(timeline.begin);
  told.set_duration(timeline.duration);
  told.set_error(timeline.error);
  for (const plugins::Stage& stage : timeline.stages) {
    admin::Stage& one = *told.add_stages();
    one.set_name(stage.name);
    one.set_begin(stage.begin);
    one.set_duration(stage.duration);
  }
}

plugins::Operation::Clock::time_point endOfReload(const grpc::ServerContext& context) {
  return std::min<plugins::Operation::Clock::time_point>(
      plugins::Operation::Clock::now() + Reloader::kTime, cri::deadlineOf(context));
}

images::StorageRequest requestOf(const admin::CheckStorageRequest& request) {
  images::StorageRequest wanted;
  wanted.repair = request.repair();
  if (request.depth() == admin::STORAGE_QUICK) wanted.depth = images::StorageDepth::kQuick;
  if (request.depth() == admin::STORAGE_SET_ASIDE) wanted.depth = images::StorageDepth::kSetAside;
  return wanted;
}

admin::StorageState stateOf(images::StorageState state) {
  switch (state) {
    case images::StorageState::kSound:
      return admin::STORAGE_SOUND;
    case images::StorageState::kUnknown:
      return admin::STORAGE_UNKNOWN;
    case images::StorageState::kIncomplete:
      return admin::STORAGE_INCOMPLETE;
    case images::StorageState::kSetAside:
      return admin::STORAGE_IS_SET_ASIDE;
    case images::StorageState::kDamaged:
      return admin::STORAGE_DAMAGED;
    case images::StorageState::kRepaired:
      return admin::STORAGE_REPAIRED;
  }
  return admin::STORAGE_UNKNOWN;
}

// Whoever asked may be gone before it ends.
void logFinding(const images::StorageFinding& finding) {
  if (finding.state == images::StorageState::kDamaged)
    common::logError("the storage is damaged", {{"what", finding.what}, {"how", finding.detail}});
  if (finding.state == images::StorageState::kRepaired)
    common::logWarning("the storage was damaged and is repaired",
                       {{"what", finding.what}, {"how", finding.detail}});
}

}  // namespace

grpc::Status AdminService::Reload(grpc::ServerContext* context,
                                  const admin::ReloadRequest* /*request*/,
                                  admin::ReloadResponse* response) {
  plugins::Operation op("Reload", endOfReload(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  const auto reloaded = reloader_.reload(op);
  if (!reloaded.ok()) return cri::toGrpc(reloaded.status());
  for (const config::Change& change : reloaded->changes) fill(*response->add_changes(), change);
  response->set_next_start(reloaded->nextStart);
  response->mutable_tried()->Assign(reloaded->tried.begin(), reloaded->tried.end());
  return grpc::Status::OK;
}

grpc::Status AdminService::ReloadPlugin(grpc::ServerContext* context,
                                        const admin::ReloadPluginRequest* request,
                                        admin::ReloadPluginResponse* response) {
  plugins::Operation op(support::strCat("ReloadPlugin ", request->name()), endOfReload(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  const auto reloaded = reloader_.reloadPlugin(op, request->name());
  if (!reloaded.ok()) {
    constexpr auto kMode = absl::StatusToStringMode::kWithNoExtraData;
    common::logWarning("a plugin stays as it was",
                       {{"plugin", request->name()}, {"error", reloaded.status().ToString(kMode)}});
    return cri::toGrpc(reloaded.status());
  }
  response->set_table(reloaded->table);
  response->set_path(reloaded->path);
  response->set_before(reloaded->before);
  response->set_after(reloaded->after);
  response->mutable_pods()->Assign(reloaded->pods.begin(), reloaded->pods.end());
  return grpc::Status::OK;
}

grpc::Status AdminService::Configuration(grpc::ServerContext* /*context*/,
                                         const admin::ConfigurationRequest* /*request*/,
                                         admin::ConfigurationResponse* response) {
  const Reloader::Running running = reloader_.running();
  response->set_toml(config::dump(running.config));
  for (const config::Change& change : running.pending) fill(*response->add_pending(), change);
  return grpc::Status::OK;
}

grpc::Status AdminService::CheckStorage(grpc::ServerContext* context,
                                        const admin::CheckStorageRequest* request,
                                        grpc::ServerWriter<admin::StorageFinding>* writer) {
  const std::unique_lock alone(checking_, std::try_to_lock);
  if (!alone.owns_lock())
    return cri::toGrpc(absl::AbortedError("another check of the storage is under way"));
  plugins::Operation op("CheckStorage", cri::deadlineOf(*context));
  const cri::CallWatch::Guard guard(calls_, *context, op);
  const auto tell = [&](const images::StorageFinding& finding) {
    logFinding(finding);
    admin::StorageFinding row;
    row.set_state(stateOf(finding.state));
    row.set_what(finding.what);
    row.set_detail(finding.detail);
    // A client that has gone cancels the operation.
    writer->Write(row);
  };
  return cri::toGrpc(checkStorage(op, requestOf(*request), kept_, tell));
}

grpc::Status AdminService::Timelines(grpc::ServerContext* /*context*/,
                                     const admin::TimelinesRequest* request,
                                     admin::TimelinesResponse* response) {
  const auto timelines = timelines_.of(request->object());
  if (!timelines.ok()) return cri::toGrpc(timelines.status());
  for (const plugins::Timeline& timeline : *timelines) fill(*response->add_timelines(), timeline);
  return grpc::Status::OK;
}

grpc::Status AdminService::AbandonNetwork(grpc::ServerContext* context,
                                          const admin::AbandonNetworkRequest* request,
                                          admin::AbandonNetworkResponse* response) {
  const auto lost = engine_.abandonNetwork(request->pod(), cri::deadlineOf(*context));
  if (!lost.ok()) return cri::toGrpc(lost.status());
  response->set_pod(lost->pod);
  response->set_name(lost->name);
  response->set_network(lost->network);
  response->mutable_addresses()->Assign(lost->addresses.begin(), lost->addresses.end());
  response->mutable_host_ports()->Assign(lost->hostPorts.begin(), lost->hostPorts.end());
  response->set_unfinished(lost->unfinished);
  return grpc::Status::OK;
}

}  // namespace berth::program
