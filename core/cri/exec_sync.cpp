#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::ExecSync(grpc::ServerContext* context,
                                      const runtime::v1::ExecSyncRequest* request,
                                      runtime::v1::ExecSyncResponse* response) {
  auto result = engine_.execSync(*request, deadlineOf(*context));
  if (!result.ok()) return toGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace berth::cri
