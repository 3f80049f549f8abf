#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandboxMetrics(
    grpc::ServerContext* context, const runtime::v1::ListPodSandboxMetricsRequest* /*request*/,
    runtime::v1::ListPodSandboxMetricsResponse* response) {
  engine_.podSandboxMetrics(deadlineOf(*context), [&](runtime::v1::PodSandboxMetrics&& pod) {
    *response->add_pod_metrics() = std::move(pod);
    return !context->IsCancelled();
  });
  return grpc::Status::OK;
}

}  // namespace berth::cri
