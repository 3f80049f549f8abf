#include "cri/convert.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

namespace {

// How long it may take until the end of a client is noticed that gets no events.
constexpr std::chrono::seconds kLook{1};

}  // namespace

grpc::Status RuntimeService::GetContainerEvents(
    grpc::ServerContext* context, const runtime::v1::GetEventsRequest* /*request*/,
    grpc::ServerWriter<runtime::v1::ContainerEventResponse>* writer) {
  auto listener = engine_.subscribe([context] { context->TryCancel(); });
  if (!listener.ok()) return toGrpc(listener.status());
  // Who has these headers and lists afterwards misses nothing.
  writer->SendInitialMetadata();
  while (!context->IsCancelled()) {
    auto event = (*listener)->next(kLook);
    if (!event.ok()) return toGrpc(event.status());
    if (*event != nullptr && !writer->Write(**event)) break;
  }
  return grpc::Status(grpc::StatusCode::CANCELLED, "the client ended the stream");
}

}  // namespace berth::cri
