#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ListContainers(grpc::ServerContext* /*context*/,
                                            const runtime::v1::ListContainersRequest* request,
                                            runtime::v1::ListContainersResponse* response) {
  for (auto& container : engine_.listContainers(request->filter())) {
    *response->add_containers() = std::move(container);
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
