#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::RemoveContainer(grpc::ServerContext* context,
                                             const runtime::v1::RemoveContainerRequest* request,
                                             runtime::v1::RemoveContainerResponse* /*response*/) {
  return toGrpc(engine_.removeContainer(request->container_id(), deadlineOf(*context)));
}

}  // namespace berth::cri
