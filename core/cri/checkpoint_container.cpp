#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::CheckpointContainer(
    grpc::ServerContext* context, const runtime::v1::CheckpointContainerRequest* request,
    runtime::v1::CheckpointContainerResponse* /*response*/) {
  return toGrpc(engine_.checkpointContainer(*request, deadlineOf(*context)));
}

}  // namespace berth::cri
