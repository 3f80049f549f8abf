#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

grpc::Status RuntimeService::Attach(grpc::ServerContext* /*context*/,
                                    const runtime::v1::AttachRequest* request,
                                    runtime::v1::AttachResponse* response) {
  auto id = engine_.runningContainer(request->container_id(), "attach to");
  if (!id.ok()) return toGrpc(id.status());
  runtime::v1::AttachRequest resolved = *request;
  resolved.set_container_id(*id);
  auto url = streaming_.attachUrl(resolved);
  if (url.ok()) response->set_url(*url);
  return toGrpc(url.status());
}

}  // namespace berth::cri
