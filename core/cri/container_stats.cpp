#include "berth/support/status.hpp"
#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ContainerStats(grpc::ServerContext* context,
                                            const runtime::v1::ContainerStatsRequest* request,
                                            runtime::v1::ContainerStatsResponse* response) {
  return answerOwn<runtime::v1::ContainerStatsResponse>(
      engine_.operations(), *context, support::strCat("ContainerStats ", request->container_id()),
      deadlineOf(*context), *response,
      [&engine = engine_, id = request->container_id()](plugins::Operation& op, auto& answer) {
        auto stats = engine.containerStats(id, op);
        if (stats.ok()) *answer.mutable_stats() = *std::move(stats);
        return stats.status();
      });
}

}  // namespace berth::cri
