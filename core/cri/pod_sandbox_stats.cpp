#include "berth/support/status.hpp"
#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::PodSandboxStats(grpc::ServerContext* context,
                                             const runtime::v1::PodSandboxStatsRequest* request,
                                             runtime::v1::PodSandboxStatsResponse* response) {
  return answerOwn<runtime::v1::PodSandboxStatsResponse>(
      engine_.operations(), *context,
      support::strCat("PodSandboxStats ", request->pod_sandbox_id()), deadlineOf(*context),
      *response,
      [&engine = engine_, id = request->pod_sandbox_id()](plugins::Operation& op, auto& answer) {
        auto stats = engine.podSandboxStats(id, op);
        if (stats.ok()) *answer.mutable_stats() = *std::move(stats);
        return stats.status();
      });
}

}  // namespace berth::cri
