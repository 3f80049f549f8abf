#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StartContainer(grpc::ServerContext* context,
                                            const runtime::v1::StartContainerRequest* request,
                                            runtime::v1::StartContainerResponse* /*response*/) {
  return toGrpc(engine_.startContainer(request->container_id(), deadlineOf(*context)));
}

}  // namespace berth::cri
