#include "berth/support/clock.hpp"
#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::PodSandboxStatus(grpc::ServerContext* /*context*/,
                                              const runtime::v1::PodSandboxStatusRequest* request,
                                              runtime::v1::PodSandboxStatusResponse* response) {
  // The kubelet takes it for newer than all events before this time.
  response->set_timestamp(support::nowNanoseconds());
  auto status = engine_.podSandboxStatus(request->pod_sandbox_id());
  if (!status.ok()) return toGrpc(status.status());
  if (request->verbose()) {
    auto info = engine_.podSandboxInfo(request->pod_sandbox_id());
    if (!info.ok()) return toGrpc(info.status());
    (*response->mutable_info())["info"] = *std::move(info);
  }
  for (auto& container : engine_.containerStatusesOf(status->id())) {
    *response->add_containers_statuses() = std::move(container);
  }
  *response->mutable_status() = *std::move(status);
  return grpc::Status::OK;
}

}  // namespace berth::cri
