#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListContainerStats(
    grpc::ServerContext* context, const runtime::v1::ListContainerStatsRequest* request,
    runtime::v1::ListContainerStatsResponse* response) {
  return answerOwn<runtime::v1::ListContainerStatsResponse>(
      engine_.operations(), *context, "ListContainerStats", deadlineOf(*context), *response,
      [&engine = engine_, filter = request->filter()](plugins::Operation& op, auto& answer) {
        for (auto& stats : engine.listContainerStats(filter, op))
          *answer.add_stats() = std::move(stats);
        return absl::OkStatus();
      });
}

}  // namespace berth::cri
