#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::UpdateContainerResources(
    grpc::ServerContext* context, const runtime::v1::UpdateContainerResourcesRequest* request,
    runtime::v1::UpdateContainerResourcesResponse* /*response*/) {
  return toGrpc(engine_.updateContainerResources(*request, deadlineOf(*context)));
}

}  // namespace berth::cri
