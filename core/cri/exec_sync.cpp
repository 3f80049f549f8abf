#include <algorithm>

#include "berth/support/status.hpp"
#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace {

// Far more than any probe; what is added to a time must not overflow it.
constexpr int64_t kLongestSeconds = int64_t{365} * 24 * 3600;

}  // namespace

grpc::Status RuntimeService::ExecSync(grpc::ServerContext* context,
                                      const runtime::v1::ExecSyncRequest* request,
                                      runtime::v1::ExecSyncResponse* response) {
  engine::Deadline deadline = deadlineOf(*context);
  if (request->timeout() > 0) {
    const std::chrono::seconds timeout(std::min(request->timeout(), kLongestSeconds));
    deadline = std::min(deadline, engine::Deadline::clock::now() + timeout);
  }
  plugins::Operation op(support::strCat("ExecSync in container ", request->container_id()),
                        deadline);
  const CallWatch::Guard guard(calls_, *context, op);
  auto result = engine_.execSync(*request, op);
  if (!result.ok()) return toGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

}  // namespace berth::cri
