#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandbox(grpc::ServerContext* /*context*/,
                                            const runtime::v1::ListPodSandboxRequest* request,
                                            runtime::v1::ListPodSandboxResponse* response) {
  for (auto& pod : engine_.listPodSandboxes(request->filter())) {
    *response->add_items() = std::move(pod);
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
