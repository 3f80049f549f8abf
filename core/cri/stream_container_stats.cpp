#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamContainerStats(
    grpc::ServerContext* context, const runtime::v1::StreamContainerStatsRequest* request,
    grpc::ServerWriter<runtime::v1::StreamContainerStatsResponse>* writer) {
  plugins::Operation op("StreamContainerStats", deadlineOf(*context));
  return streamList(*context, *writer, engine_.listContainerStats(request->filter(), op),
                    &runtime::v1::StreamContainerStatsResponse::add_container_stats);
}

}  // namespace berth::cri
