#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::Version(grpc::ServerContext* /*context*/,
                                     const runtime::v1::VersionRequest* /*request*/,
                                     runtime::v1::VersionResponse* response) {
  // The first is the version of the kubelet's runtime API, as every engine answers it.
  response->set_version("0.1.0");
  response->set_runtime_name("berth");
  response->set_runtime_version(BERTH_VERSION);
  response->set_runtime_api_version("v1");
  return grpc::Status::OK;
}

}  // namespace berth::cri
