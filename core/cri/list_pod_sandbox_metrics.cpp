#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandboxMetrics(
    grpc::ServerContext* context, const runtime::v1::ListPodSandboxMetricsRequest* /*request*/,
    runtime::v1::ListPodSandboxMetricsResponse* response) {
  return answerOwn<runtime::v1::ListPodSandboxMetricsResponse>(
      engine_.operations(), *context, "ListPodSandboxMetrics", deadlineOf(*context), *response,
      [&engine = engine_](plugins::Operation& op, auto& answer) {
        for (auto& metrics : engine.podSandboxMetrics(op))
          *answer.add_pod_metrics() = std::move(metrics);
        return absl::OkStatus();
      });
}

}  // namespace berth::cri
