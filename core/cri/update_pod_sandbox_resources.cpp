#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::UpdatePodSandboxResources(
    grpc::ServerContext* context, const runtime::v1::UpdatePodSandboxResourcesRequest* request,
    runtime::v1::UpdatePodSandboxResourcesResponse* /*response*/) {
  return toGrpc(engine_.updatePodResources(*request, deadlineOf(*context)));
}

}  // namespace berth::cri
