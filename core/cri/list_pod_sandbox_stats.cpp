#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandboxStats(
    grpc::ServerContext* context, const runtime::v1::ListPodSandboxStatsRequest* request,
    runtime::v1::ListPodSandboxStatsResponse* response) {
  for (auto& stats : engine_.listPodSandboxStats(request->filter(), deadlineOf(*context))) {
    *response->add_stats() = std::move(stats);
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
