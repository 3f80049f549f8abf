#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

namespace {
// Each message holds whole pods; a pod's metrics are some hundred kilobytes at most.
constexpr size_t kMessageBytes = 1u << 20;
}  // namespace

grpc::Status RuntimeService::StreamPodSandboxMetrics(
    grpc::ServerContext* context, const v1::StreamPodSandboxMetricsRequest* /*request*/,
    grpc::ServerWriter<v1::StreamPodSandboxMetricsResponse>* writer) {
  v1::StreamPodSandboxMetricsResponse response;
  size_t bytes = 0;
  bool wanted = true;
  const auto send = [&] {
    wanted = writer->Write(response);
    response.Clear();
    bytes = 0;
    return wanted;
  };
  engine_.podSandboxMetrics(deadlineOf(*context), [&](v1::PodSandboxMetrics&& pod) {
    bytes += pod.ByteSizeLong();
    *response.add_pod_sandbox_metrics() = std::move(pod);
    return bytes < kMessageBytes || send();
  });
  if (wanted && response.pod_sandbox_metrics_size() > 0) send();
  if (wanted) return grpc::Status::OK;
  return grpc::Status(grpc::StatusCode::CANCELLED, "the client has gone away");
}

}  // namespace berth::cri
