#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListContainerStats(
    grpc::ServerContext* context, const runtime::v1::ListContainerStatsRequest* request,
    runtime::v1::ListContainerStatsResponse* response) {
  for (auto& stats : engine_.listContainerStats(request->filter(), deadlineOf(*context))) {
    *response->add_stats() = std::move(stats);
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
