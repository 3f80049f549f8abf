// Lists of items that are serialized already.
#pragma once

#include <google/protobuf/message.h>
#include <google/protobuf/unknown_field_set.h>

#include "engine/list_items.hpp"

namespace berth::cri {

// Adds an item to the list that is field `number` of the response. A message writes fields that it
// does not know as they are, and an item of a list is on the wire what an unknown field of the same
// number is (protobuf, Encoding: length-delimited records): the client reads a list, and nothing is
// taken apart only to be put together again. Who reads `response` itself finds no such item.
inline void addItem(google::protobuf::Message& response, int number, const std::string& item) {
  response.GetReflection()->MutableUnknownFields(&response)->AddLengthDelimited(number, item);
}

inline void addItems(google::protobuf::Message& response, int number,
                     const engine::ListItems& items) {
  for (const auto& item : items) addItem(response, number, *item);
}

}  // namespace berth::cri
