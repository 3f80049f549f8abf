#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamContainerStats(
    grpc::ServerContext* context, const runtime::v1::StreamContainerStatsRequest* request,
    grpc::ServerWriter<runtime::v1::StreamContainerStatsResponse>* writer) {
  using Items = std::vector<runtime::v1::ContainerStats>;
  Items items;
  const grpc::Status listed = answerOwn<Items>(
      engine_.operations(), *context, "StreamContainerStats", deadlineOf(*context), items,
      [&engine = engine_, filter = request->filter()](plugins::Operation& op, Items& answer) {
        answer = engine.listContainerStats(filter, op);
        return absl::OkStatus();
      });
  if (!listed.ok()) return listed;
  return streamList(*context, *writer, std::move(items),
                    &runtime::v1::StreamContainerStatsResponse::add_container_stats);
}

}  // namespace berth::cri
