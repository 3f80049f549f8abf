#include "cri/item_list.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListPodSandbox(grpc::ServerContext* /*context*/,
                                            const runtime::v1::ListPodSandboxRequest* request,
                                            runtime::v1::ListPodSandboxResponse* response) {
  addItems(*response, runtime::v1::ListPodSandboxResponse::kItemsFieldNumber,
           engine_.listPodSandboxes(request->filter()));
  return grpc::Status::OK;
}

}  // namespace berth::cri
