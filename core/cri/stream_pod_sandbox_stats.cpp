#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamPodSandboxStats(
    grpc::ServerContext* context, const runtime::v1::StreamPodSandboxStatsRequest* request,
    grpc::ServerWriter<runtime::v1::StreamPodSandboxStatsResponse>* writer) {
  plugins::Operation op("StreamPodSandboxStats", deadlineOf(*context));
  return streamList(*context, *writer, engine_.listPodSandboxStats(request->filter(), op),
                    &runtime::v1::StreamPodSandboxStatsResponse::add_pod_sandbox_stats);
}

}  // namespace berth::cri
