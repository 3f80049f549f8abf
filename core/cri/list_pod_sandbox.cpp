#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandbox(grpc::ServerContext* /*context*/,
                                            const runtime::v1::ListPodSandboxRequest* request,
                                            runtime::v1::ListPodSandboxResponse* response) {
  *response->mutable_items() = engine_.listPodSandboxes(request->filter());
  return grpc::Status::OK;
}

}  // namespace berth::cri
