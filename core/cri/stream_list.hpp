// The CRI's streaming lists: the items of a list in as many messages as it takes (CRI,
// StreamContainers and its kind), so that no list outgrows gRPC's message limit.
#pragma once

#include <cstddef>
#include <utility>

#include <grpcpp/grpcpp.h>

namespace berth::cri {

// Of items in one message, in bytes. A larger item has a message to itself.
inline constexpr size_t kStreamMessageBytes = 256u << 10;

// The end of what goes into one message of the items from `first` on: at least one, when there is
// one.
template <class Iterator>
Iterator messageEnd(Iterator first, Iterator last) {
  Iterator end = first;
  size_t bytes = 0;
  while (end != last) {
    bytes += end->ByteSizeLong();
    if (end != first && bytes > kStreamMessageBytes) break;
    ++end;
  }
  return end;
}

// Sends each item exactly once; no message is empty, so an empty list sends none. `add` is the
// generated function that appends to the response's list:
//
//     return streamList(*context, *writer, engine_.listContainers(request->filter()),
//                       &v1::StreamContainersResponse::add_containers);
//
// Blocks while the client is slow; CANCELLED once it has gone or its time is up.
template <class Response, class Items>
grpc::Status streamList(grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                        Items items, typename Items::value_type* (Response::*add)()) {
  for (auto next = items.begin(); next != items.end();) {
    const auto end = messageEnd(next, items.end());
    Response response;
    for (; next != end; ++next) *(response.*add)() = std::move(*next);
    if (context.IsCancelled() || !writer.Write(response)) {
      return grpc::Status(grpc::StatusCode::CANCELLED,
                          "the client ended the stream, or its deadline passed");
    }
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
