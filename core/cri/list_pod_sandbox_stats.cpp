#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandboxStats(
    grpc::ServerContext* context, const runtime::v1::ListPodSandboxStatsRequest* request,
    runtime::v1::ListPodSandboxStatsResponse* response) {
  return answerOwn<runtime::v1::ListPodSandboxStatsResponse>(
      engine_.operations(), *context, "ListPodSandboxStats", deadlineOf(*context), *response,
      [&engine = engine_, filter = request->filter()](plugins::Operation& op, auto& answer) {
        for (auto& stats : engine.listPodSandboxStats(filter, op))
          *answer.add_stats() = std::move(stats);
        return absl::OkStatus();
      });
}

}  // namespace berth::cri
