#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

using Response = runtime::v1::UpdateRuntimeConfigResponse;

grpc::Status RuntimeService::UpdateRuntimeConfig(
    grpc::ServerContext* context, const runtime::v1::UpdateRuntimeConfigRequest* request,
    Response* response) {
  const std::string& cidr = request->runtime_config().network_config().pod_cidr();
  if (cidr.empty()) return grpc::Status::OK;
  return answerOwn<Response>(
      engine_.operations(), *context, "UpdateRuntimeConfig " + cidr, deadlineOf(*context),
      *response, [&engine = engine_, cidr](plugins::Operation& op, Response& /*answer*/) {
        return engine.updatePodCidr(op, cidr);
      });
}

}  // namespace berth::cri
