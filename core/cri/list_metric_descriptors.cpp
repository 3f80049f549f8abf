#include "cri/runtime_service.hpp"
#include "engine/metrics/metrics.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListMetricDescriptors(
    grpc::ServerContext* /*context*/, const runtime::v1::ListMetricDescriptorsRequest* /*request*/,
    runtime::v1::ListMetricDescriptorsResponse* response) {
  *response->mutable_descriptors() = metrics::descriptors();
  return grpc::Status::OK;
}

}  // namespace berth::cri
