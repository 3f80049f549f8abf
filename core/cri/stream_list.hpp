// The CRI's streaming lists: the items of a list in as many messages as it takes (CRI,
// StreamContainers and its kind), so that no list outgrows gRPC's message limit.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "cri/item_list.hpp"

namespace berth::cri {

// Of items in one message, in bytes. A larger item has a message to itself.
inline constexpr size_t kStreamMessageBytes = 256u << 10;

template <class Item>
size_t itemBytes(const Item& item) {
  return item.ByteSizeLong();
}
inline size_t itemBytes(const std::shared_ptr<const std::string>& serialized) {
  return serialized->size();
}

// The end of what goes into one message of the items from `first` on: at least one, when there is
// one.
template <class Iterator>
Iterator messageEnd(Iterator first, Iterator last) {
  Iterator end = first;
  size_t bytes = 0;
  while (end != last) {
    bytes += itemBytes(*end);
    if (end != first && bytes > kStreamMessageBytes) break;
    ++end;
  }
  return end;
}

// Sends each item exactly once, as `put(response, item)` puts it into a message; none is empty, so
// an empty list sends none. Blocks while the client is slow; CANCELLED once it has gone or its time
// is up.
template <class Response, class Items, class Put>
grpc::Status sendItems(grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                       Items items, Put put) {
  for (auto next = items.begin(); next != items.end();) {
    const auto end = messageEnd(next, items.end());
    Response response;
    for (; next != end; ++next) put(response, *next);
    if (context.IsCancelled() || !writer.Write(response)) {
      return grpc::Status(grpc::StatusCode::CANCELLED,
                          "the client ended the stream, or its deadline passed");
    }
  }
  return grpc::Status::OK;
}

// The same; `add` is the generated function that appends to the response's list:
//
//     return streamList(*context, *writer, images, &v1::StreamImagesResponse::add_images);
template <class Response, class Item>
grpc::Status streamList(grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                        std::vector<Item> items, Item* (Response::*add)()) {
  return sendItems(context, writer, std::move(items),
                   [add](Response& response, Item& item) { *(response.*add)() = std::move(item); });
}

// The same for items that are serialized; see addItem().
template <class Response>
grpc::Status streamList(grpc::ServerContext& context, grpc::ServerWriter<Response>& writer,
                        engine::ListItems items, int number) {
  return sendItems(
      context, writer, std::move(items),
      [number](Response& response, const auto& item) { addItem(response, number, *item); });
}

}  // namespace berth::cri
