// Protobuf messages as JSON for people and scripts.
#pragma once

#include <boost/json/object.hpp>
#include <google/protobuf/message.h>

namespace berth::engine {

// Fields under their names in the .proto, as the tools of other engines have them: numbers as
// numbers, enumerations too, and what is not set left out. Bytes must be text.
boost::json::object toJson(const google::protobuf::Message& message);

}  // namespace berth::engine
