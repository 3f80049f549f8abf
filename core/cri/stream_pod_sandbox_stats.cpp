#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamPodSandboxStats(
    grpc::ServerContext* context, const runtime::v1::StreamPodSandboxStatsRequest* request,
    grpc::ServerWriter<runtime::v1::StreamPodSandboxStatsResponse>* writer) {
  using Items = std::vector<runtime::v1::PodSandboxStats>;
  Items items;
  const grpc::Status listed = answerOwn<Items>(
      engine_.operations(), *context, "StreamPodSandboxStats", deadlineOf(*context), items,
      [&engine = engine_, filter = request->filter()](plugins::Operation& op, Items& answer) {
        answer = engine.listPodSandboxStats(filter, op);
        return absl::OkStatus();
      });
  if (!listed.ok()) return listed;
  return streamList(*context, *writer, std::move(items),
                    &runtime::v1::StreamPodSandboxStatsResponse::add_pod_sandbox_stats);
}

}  // namespace berth::cri
