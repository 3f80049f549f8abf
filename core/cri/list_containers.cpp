#include "cri/item_list.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListContainers(grpc::ServerContext* /*context*/,
                                            const runtime::v1::ListContainersRequest* request,
                                            runtime::v1::ListContainersResponse* response) {
  addItems(*response, runtime::v1::ListContainersResponse::kContainersFieldNumber,
           engine_.listContainers(request->filter()));
  return grpc::Status::OK;
}

}  // namespace berth::cri
