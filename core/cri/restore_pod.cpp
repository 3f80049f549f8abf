#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::RestorePod(grpc::ServerContext* context,
                                        const runtime::v1::RestorePodRequest* request,
                                        runtime::v1::RestorePodResponse* response) {
  auto restored = engine_.restorePod(*request, deadlineOf(*context));
  if (!restored.ok()) return toGrpc(restored.status());
  *response = *std::move(restored);
  return grpc::Status::OK;
}

}  // namespace berth::cri
