#include "berth/support/status.hpp"
#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::UpdateContainerResources(
    grpc::ServerContext* context, const runtime::v1::UpdateContainerResourcesRequest* request,
    runtime::v1::UpdateContainerResourcesResponse* response) {
  return answerOwn<runtime::v1::UpdateContainerResourcesResponse>(
      engine_.operations(), *context,
      support::strCat("UpdateContainerResources ", request->container_id()), deadlineOf(*context),
      *response, [&engine = engine_, request = *request](plugins::Operation& op, auto&) {
        return engine.updateContainerResources(request, op);
      });
}

}  // namespace berth::cri
