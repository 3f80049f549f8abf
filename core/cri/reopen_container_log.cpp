#include <algorithm>

#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

using Response = runtime::v1::ReopenContainerLogResponse;

namespace {

// The kubelet rotates one log after the other: none may keep the others from it for long.
constexpr std::chrono::seconds kMost{10};

}  // namespace

grpc::Status RuntimeService::ReopenContainerLog(
    grpc::ServerContext* context, const runtime::v1::ReopenContainerLogRequest* request,
    Response* response) {
  const std::string& id = request->container_id();
  return answerOwn<Response>(engine_.operations(), *context, "ReopenContainerLog " + id,
                             std::min(deadlineOf(*context), engine::Deadline::clock::now() + kMost),
                             *response,
                             [&engine = engine_, id](plugins::Operation& op, Response& /*answer*/) {
                               return engine.reopenContainerLog(op, id);
                             });
}

}  // namespace berth::cri
