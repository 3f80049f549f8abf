// JSON that has one meaning for every reader.
#pragma once

#include <string_view>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

namespace berth::signatures {

// As support::parseJson, and INVALID_ARGUMENT when an object has a member twice: of those, readers
// take either one, and what has been looked at would not be what is used.
absl::StatusOr<boost::json::value> parseStrictJson(std::string_view text, std::string_view what);

}  // namespace berth::signatures
