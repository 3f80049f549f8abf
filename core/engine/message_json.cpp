#include "engine/message_json.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <google/protobuf/descriptor.h>

#include "engine/spec/text.hpp"

namespace berth::engine {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// A value of a field; of a repeated one the element at `index`.
struct Place {
  const Message& message;
  const FieldDescriptor* field;
  int index = -1;

  template <class One, class Element>
  auto get(One one, Element element) const {
    const Reflection* reflection = message.GetReflection();
    return index < 0 ? (reflection->*one)(message, field)
                     : (reflection->*element)(message, field, index);
  }
};

boost::json::value valueOf(const Place& place) {
  using R = Reflection;
  switch (place.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return place.get(&R::GetInt32, &R::GetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_INT64:
      return place.get(&R::GetInt64, &R::GetRepeatedInt64);
    case FieldDescriptor::CPPTYPE_UINT32:
      return place.get(&R::GetUInt32, &R::GetRepeatedUInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return place.get(&R::GetUInt64, &R::GetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return place.get(&R::GetDouble, &R::GetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return place.get(&R::GetFloat, &R::GetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_BOOL:
      return place.get(&R::GetBool, &R::GetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM:
      return place.get(&R::GetEnumValue, &R::GetRepeatedEnumValue);
    case FieldDescriptor::CPPTYPE_STRING:
      // Bytes too: what is made from this stands in messages' strings, which must be UTF-8.
      return boost::json::value(
          spec::replaceNonUtf8(place.get(&R::GetString, &R::GetRepeatedString)));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;
  }
  const Reflection* reflection = place.message.GetReflection();
  return toJson(place.index < 0
                    ? reflection->GetMessage(place.message, place.field)
                    : reflection->GetRepeatedMessage(place.message, place.field, place.index));
}

boost::json::object mapOf(const Message& message, const FieldDescriptor* field) {
  const Reflection* reflection = message.GetReflection();
  const google::protobuf::Descriptor* entry = field->message_type();
  boost::json::object map;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    const Message& one = reflection->GetRepeatedMessage(message, field, i);
    const boost::json::value key = valueOf({one, entry->map_key()});
    map[key.is_string() ? key.get_string() : boost::json::string(boost::json::serialize(key))] =
        valueOf({one, entry->map_value()});
  }
  return map;
}

boost::json::array arrayOf(const Message& message, const FieldDescriptor* field) {
  boost::json::array array;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    array.push_back(valueOf({message, field, i}));
  }
  return array;
}

}  // namespace

boost::json::object toJson(const Message& message) {
  std::vector<const FieldDescriptor*> fields;  // those that are set, in order
  message.GetReflection()->ListFields(message, &fields);
  boost::json::object object;
  for (const FieldDescriptor* field : fields) {
    boost::json::value& value = object[field->name()];
    if (field->is_map()) {
      value = mapOf(message, field);
    } else if (field->is_repeated()) {
      value = arrayOf(message, field);
    } else {
      value = valueOf({message, field});
    }
  }
  return object;
}

}  // namespace berth::engine
