#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

grpc::Status RuntimeService::StreamPodSandboxStats(
    grpc::ServerContext* context, const v1::StreamPodSandboxStatsRequest* request,
    grpc::ServerWriter<v1::StreamPodSandboxStatsResponse>* writer) {
  return streamOwn(engine_.operations(), *context, "StreamPodSandboxStats", *writer,
                   &v1::StreamPodSandboxStatsResponse::add_pod_sandbox_stats,
                   [&engine = engine_, filter = request->filter()](plugins::Operation& op) {
                     return engine.listPodSandboxStats(filter, op);
                   });
}

}  // namespace berth::cri
