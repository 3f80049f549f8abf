// What operators ask of a running daemon (core/api/berth-admin-v1.proto).
#pragma once

#include <mutex>

#include "berth-admin-v1.grpc.pb.h"
#include "cri/call_watch.hpp"
#include "engine/engine.hpp"
#include "main/reload.hpp"
#include "main/storage_check.hpp"
#include "telemetry/timelines.hpp"

namespace berth::program {

class AdminService final : public berth::admin::v1::Admin::Service {
 public:
  // All must outlive the service.
  AdminService(Reloader& reloader, const KeptThings& kept, const telemetry::Timelines& timelines,
               engine::Engine& engine)
      : reloader_(reloader), kept_(kept), timelines_(timelines), engine_(engine) {}

  grpc::Status Reload(grpc::ServerContext* context, const berth::admin::v1::ReloadRequest* request,
                      berth::admin::v1::ReloadResponse* response) override;
  grpc::Status ReloadPlugin(grpc::ServerContext* context,
                            const berth::admin::v1::ReloadPluginRequest* request,
                            berth::admin::v1::ReloadPluginResponse* response) override;
  grpc::Status Configuration(grpc::ServerContext* context,
                             const berth::admin::v1::ConfigurationRequest* request,
                             berth::admin::v1::ConfigurationResponse* response) override;
  grpc::Status CheckStorage(grpc::ServerContext* context,
                            const berth::admin::v1::CheckStorageRequest* request,
                            grpc::ServerWriter<berth::admin::v1::StorageFinding>* writer) override;
  grpc::Status Timelines(grpc::ServerContext* context,
                         const berth::admin::v1::TimelinesRequest* request,
                         berth::admin::v1::TimelinesResponse* response) override;
  grpc::Status AbandonNetwork(grpc::ServerContext* context,
                              const berth::admin::v1::AbandonNetworkRequest* request,
                              berth::admin::v1::AbandonNetworkResponse* response) override;

 private:
  Reloader& reloader_;
  const KeptThings& kept_;
  const telemetry::Timelines& timelines_;
  engine::Engine& engine_;
  cri::CallWatch calls_;
  std::mutex checking_;
};

}  // namespace berth::program
