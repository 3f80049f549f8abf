#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ReopenContainerLog(
    grpc::ServerContext* context, const runtime::v1::ReopenContainerLogRequest* request,
    runtime::v1::ReopenContainerLogResponse* /*response*/) {
  return toGrpc(engine_.reopenContainerLog(request->container_id(), deadlineOf(*context)));
}

}  // namespace berth::cri
