#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::RunPodSandbox(grpc::ServerContext* context,
                                           const runtime::v1::RunPodSandboxRequest* request,
                                           runtime::v1::RunPodSandboxResponse* response) {
  auto id = engine_.runPodSandbox(*request, deadlineOf(*context));
  if (id.ok()) response->set_pod_sandbox_id(*id);
  return toGrpc(id.status());
}

}  // namespace berth::cri
