// The CRI's streaming lists: the items of a list in as many messages as it takes (CRI,
// StreamContainers and its kind), so that no list outgrows gRPC's message limit.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <grpcpp/grpcpp.h>

namespace berth::cri {

// Of items in one message, in bytes. A larger item has a message to itself.
inline constexpr size_t kStreamMessageBytes = 256u << 10;

// How many of `items` from `first` on go into one message: at least one, when there is one.
template <class Item>
size_t messageEnd(const std::vector<Item>& items, size_t first) {
  size_t end = first;
  size_t bytes = 0;
  while (end < items.size()) {
    bytes += items[end].ByteSizeLong();
    if (end > first && bytes > kStreamMessageBytes) break;
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
template <class Response, class Item>
grpc::Status streamList(grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                        std::vector<Item> items, Item* (Response::*add)()) {
  for (size_t first = 0; first < items.size();) {
    const size_t end = messageEnd(items, first);
    Response response;
    for (; first < end; ++first) *(response.*add)() = std::move(items[first]);
    if (context.IsCancelled() || !writer.Write(response)) {
      return grpc::Status(grpc::StatusCode::CANCELLED,
                          "the client ended the stream, or its deadline passed");
    }
  }
  return grpc::Status::OK;
}

}  // namespace berth::cri
