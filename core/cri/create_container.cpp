#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::CreateContainer(grpc::ServerContext* context,
                                             const runtime::v1::CreateContainerRequest* request,
                                             runtime::v1::CreateContainerResponse* response) {
  auto id = engine_.createContainer(*request, deadlineOf(*context));
  if (id.ok()) response->set_container_id(*id);
  return toGrpc(id.status());
}

}  // namespace berth::cri
