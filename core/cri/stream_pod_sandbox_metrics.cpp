#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamPodSandboxMetrics(
    grpc::ServerContext* context, const runtime::v1::StreamPodSandboxMetricsRequest* /*request*/,
    grpc::ServerWriter<runtime::v1::StreamPodSandboxMetricsResponse>* writer) {
  using Items = std::vector<runtime::v1::PodSandboxMetrics>;
  Items items;
  const grpc::Status listed = answerOwn<Items>(
      engine_.operations(), *context, "StreamPodSandboxMetrics", deadlineOf(*context), items,
      [&engine = engine_](plugins::Operation& op, Items& answer) {
        answer = engine.podSandboxMetrics(op);
        return absl::OkStatus();
      });
  if (!listed.ok()) return listed;
  return streamList(*context, *writer, std::move(items),
                    &runtime::v1::StreamPodSandboxMetricsResponse::add_pod_sandbox_metrics);
}

}  // namespace berth::cri
