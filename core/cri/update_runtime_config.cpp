#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::UpdateRuntimeConfig(
    grpc::ServerContext* context, const runtime::v1::UpdateRuntimeConfigRequest* request,
    runtime::v1::UpdateRuntimeConfigResponse* /*response*/) {
  const std::string& cidr = request->runtime_config().network_config().pod_cidr();
  if (cidr.empty()) return grpc::Status::OK;
  return toGrpc(engine_.updatePodCidr(cidr, deadlineOf(*context)));
}

}  // namespace berth::cri
