#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::PodSandboxStats(grpc::ServerContext* context,
                                             const runtime::v1::PodSandboxStatsRequest* request,
                                             runtime::v1::PodSandboxStatsResponse* response) {
  auto stats = engine_.podSandboxStats(request->pod_sandbox_id(), deadlineOf(*context));
  if (!stats.ok()) return toGrpc(stats.status());
  *response->mutable_stats() = *std::move(stats);
  return grpc::Status::OK;
}

}  // namespace berth::cri
