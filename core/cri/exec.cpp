#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::Exec(grpc::ServerContext* /*context*/,
                                  const runtime::v1::ExecRequest* request,
                                  runtime::v1::ExecResponse* response) {
  if (request->cmd().empty() || request->cmd(0).empty()) {
    return toGrpc(absl::InvalidArgumentError("Exec: cmd is empty"));
  }
  auto id = engine_.runningContainer(request->container_id(), "exec in");
  if (!id.ok()) return toGrpc(id.status());
  runtime::v1::ExecRequest resolved = *request;
  resolved.set_container_id(*id);
  auto url = streaming_.execUrl(resolved);
  if (url.ok()) response->set_url(*url);
  return toGrpc(url.status());
}

}  // namespace berth::cri
