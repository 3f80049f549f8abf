#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::CheckpointPod(grpc::ServerContext* context,
                                           const runtime::v1::CheckpointPodRequest* request,
                                           runtime::v1::CheckpointPodResponse* /*response*/) {
  return toGrpc(engine_.checkpointPod(*request, deadlineOf(*context)));
}

}  // namespace berth::cri
