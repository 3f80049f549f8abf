#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

grpc::Status RuntimeService::StreamPodSandboxMetrics(
    grpc::ServerContext* context, const v1::StreamPodSandboxMetricsRequest* /*request*/,
    grpc::ServerWriter<v1::StreamPodSandboxMetricsResponse>* writer) {
  return streamOwn(
      engine_.operations(), *context, "StreamPodSandboxMetrics", *writer,
      &v1::StreamPodSandboxMetricsResponse::add_pod_sandbox_metrics,
      [&engine = engine_](plugins::Operation& op) { return engine.podSandboxMetrics(op); });
}

}  // namespace berth::cri
