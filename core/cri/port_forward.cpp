#include "berth/support/status.hpp"
#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace {

constexpr int32_t kLastPort = 65535;

}  // namespace

grpc::Status RuntimeService::PortForward(grpc::ServerContext* /*context*/,
                                         const runtime::v1::PortForwardRequest* request,
                                         runtime::v1::PortForwardResponse* response) {
  auto id = engine_.readyPod(request->pod_sandbox_id(), "port-forward to");
  if (!id.ok()) return toGrpc(id.status());
  for (const int32_t port : request->port()) {
    if (port >= 1 && port <= kLastPort) continue;
    return toGrpc(absl::InvalidArgumentError(
        support::strCat("PortForward: port ", port, " is not one of 1 to ", kLastPort)));
  }
  runtime::v1::PortForwardRequest resolved = *request;
  resolved.set_pod_sandbox_id(*id);
  auto url = streaming_.portForwardUrl(resolved);
  if (url.ok()) response->set_url(*url);
  return toGrpc(url.status());
}

}  // namespace berth::cri
