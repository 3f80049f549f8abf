// JSON documents (Boost.JSON) with errors that say where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/json.hpp>

namespace berth::support {

// INVALID_ARGUMENT with `what` and the byte offset when it is not one JSON value, or is nested
// deeper than 64 levels; and when it has more than 2^20 members and elements, or commas and
// brackets in its strings, for each takes many times the memory that it has in the text.
absl::StatusOr<boost::json::value> parseJson(std::string_view text, std::string_view what);
absl::StatusOr<boost::json::object> parseJsonObject(std::string_view text, std::string_view what);

// Lenient readers for documents of others: a missing member or one of another type gives the
// default.
std::string stringMember(const boost::json::object& object, std::string_view key,
                         std::string_view otherwise = {});
int64_t intMember(const boost::json::object& object, std::string_view key, int64_t otherwise = 0);
bool boolMember(const boost::json::object& object, std::string_view key, bool otherwise = false);
std::vector<std::string> stringsMember(const boost::json::object& object, std::string_view key);
// Null when it is missing or of another type.
const boost::json::object* objectMember(const boost::json::object& object, std::string_view key);
const boost::json::array* arrayMember(const boost::json::object& object, std::string_view key);

// The member, made empty when it is missing or of another type.
boost::json::object& objectAt(boost::json::object& parent, std::string_view key);
boost::json::array& arrayAt(boost::json::object& parent, std::string_view key);

boost::json::array jsonTexts(const std::vector<std::string>& texts);

}  // namespace berth::support
