#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::RemovePodSandbox(grpc::ServerContext* context,
                                              const runtime::v1::RemovePodSandboxRequest* request,
                                              runtime::v1::RemovePodSandboxResponse* /*response*/) {
  return toGrpc(engine_.removePodSandbox(request->pod_sandbox_id(), deadlineOf(*context)));
}

}  // namespace berth::cri
