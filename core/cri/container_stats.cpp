#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ContainerStats(grpc::ServerContext* context,
                                            const runtime::v1::ContainerStatsRequest* request,
                                            runtime::v1::ContainerStatsResponse* response) {
  auto stats = engine_.containerStats(request->container_id(), deadlineOf(*context));
  if (!stats.ok()) return toGrpc(stats.status());
  *response->mutable_stats() = *std::move(stats);
  return grpc::Status::OK;
}

}  // namespace berth::cri
