#include "cri/own_call.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace v1 = runtime::v1;

grpc::Status RuntimeService::StreamContainerStats(
    grpc::ServerContext* context, const v1::StreamContainerStatsRequest* request,
    grpc::ServerWriter<v1::StreamContainerStatsResponse>* writer) {
  return streamOwn(engine_.operations(), *context, "StreamContainerStats", *writer,
                   &v1::StreamContainerStatsResponse::add_container_stats,
                   [&engine = engine_, filter = request->filter()](plugins::Operation& op) {
                     return engine.listContainerStats(filter, op);
                   });
}

}  // namespace berth::cri
