#include "berth/support/status.hpp"
#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::UpdatePodSandboxResources(
    grpc::ServerContext* context, const runtime::v1::UpdatePodSandboxResourcesRequest* request,
    runtime::v1::UpdatePodSandboxResourcesResponse* response) {
  return answerOwn<runtime::v1::UpdatePodSandboxResourcesResponse>(
      engine_.operations(), *context,
      support::strCat("UpdatePodSandboxResources ", request->pod_sandbox_id()),
      deadlineOf(*context), *response,
      [&engine = engine_, request = *request](plugins::Operation& op, auto&) {
        return engine.updatePodResources(request, op);
      });
}

}  // namespace berth::cri
