#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamContainers(
    grpc::ServerContext* context, const runtime::v1::StreamContainersRequest* request,
    grpc::ServerWriter<runtime::v1::StreamContainersResponse>* writer) {
  return streamList(*context, *writer, engine_.listContainers(request->filter()),
                    runtime::v1::StreamContainersResponse::kContainersFieldNumber);
}

}  // namespace berth::cri
