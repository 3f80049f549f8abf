#include <algorithm>

#include "berth/support/status.hpp"
#include "cri/own_call.hpp"
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
  return answerOwn<runtime::v1::ExecSyncResponse>(
      engine_.operations(), *context,
      support::strCat("ExecSync in container ", request->container_id()), deadline, *response,
      [&engine = engine_, request = *request](plugins::Operation& op, auto& answer) {
        auto result = engine.execSync(request, op);
        if (result.ok()) answer = *std::move(result);
        return result.status();
      });
}

}  // namespace berth::cri
