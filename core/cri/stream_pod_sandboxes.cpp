#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"
#include "cri/stream_list.hpp"

namespace berth::cri {

grpc::Status RuntimeService::StreamPodSandboxes(
    grpc::ServerContext* context, const runtime::v1::StreamPodSandboxesRequest* request,
    grpc::ServerWriter<runtime::v1::StreamPodSandboxesResponse>* writer) {
  return streamList(*context, *writer, engine_.listPodSandboxes(request->filter()),
                    runtime::v1::StreamPodSandboxesResponse::kPodSandboxesFieldNumber);
}

}  // namespace berth::cri
