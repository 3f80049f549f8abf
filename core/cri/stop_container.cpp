#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StopContainer(grpc::ServerContext* context,
                                           const runtime::v1::StopContainerRequest* request,
                                           runtime::v1::StopContainerResponse* /*response*/) {
  return toGrpc(engine_.stopContainer(
      request->container_id(), std::chrono::seconds(request->timeout()), deadlineOf(*context)));
}

}  // namespace berth::cri
