#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StopPodSandbox(grpc::ServerContext* context,
                                            const runtime::v1::StopPodSandboxRequest* request,
                                            runtime::v1::StopPodSandboxResponse* /*response*/) {
  return toGrpc(engine_.stopPodSandbox(request->pod_sandbox_id(), deadlineOf(*context)));
}

}  // namespace berth::cri
