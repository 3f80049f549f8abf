#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ContainerStatus(grpc::ServerContext* /*context*/,
                                             const runtime::v1::ContainerStatusRequest* request,
                                             runtime::v1::ContainerStatusResponse* response) {
  auto status = engine_.containerStatus(request->container_id());
  if (!status.ok()) return toGrpc(status.status());
  if (request->verbose()) {
    auto info = engine_.containerInfo(request->container_id());
    if (!info.ok()) return toGrpc(info.status());
    (*response->mutable_info())["info"] = *std::move(info);
  }
  *response->mutable_status() = *std::move(status);
  return grpc::Status::OK;
}

}  // namespace berth::cri
