#include "berth/support/json.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>

#include "berth/support/status.hpp"

namespace berth::support {
namespace {

namespace bj = boost::json;

constexpr size_t kMaximumDepth = 64;
// Each costs some hundred bytes at most, however short it is in the text.
constexpr std::ptrdiff_t kMaximumParts = 1 << 20;

// At least as many as the text has members and elements.
std::ptrdiff_t partsOf(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return c == ',' || c == '[' || c == '{'; });
}

absl::Status parseError(std::string_view what, size_t offset,
                        const boost::system::error_code& error, size_t size) {
  if (error == bj::error::incomplete)
    return absl::InvalidArgumentError(
        strCat("parse ", what, ": the JSON text ends early, after ", size, " bytes"));
  if (error == bj::error::too_deep)
    return absl::InvalidArgumentError(strCat("parse ", what, ": JSON nested deeper than ",
                                             kMaximumDepth, " levels at byte ", offset));
  return absl::InvalidArgumentError(
      strCat("parse ", what, ": not valid JSON at byte ", offset, ": ", error.message()));
}

}  // namespace

absl::StatusOr<bj::value> parseJson(std::string_view text, std::string_view what) {
  if (partsOf(text) > kMaximumParts)
    return absl::InvalidArgumentError(
        strCat("parse ", what, ": the JSON text has more than ", kMaximumParts, " parts"));
  bj::parse_options options;
  options.max_depth = kMaximumDepth;
  bj::stream_parser parser({}, options);
  boost::system::error_code error;
  // The parser stops behind the value and the white space after it; what follows is too much.
  const size_t consumed = parser.write_some(text.data(), text.size(), error);
  if (!error && consumed < text.size()) error = bj::error::extra_data;
  if (!error) parser.finish(error);
  if (error) return parseError(what, consumed, error, text.size());
  return parser.release();
}

absl::StatusOr<bj::object> parseJsonObject(std::string_view text, std::string_view what) {
  BERTH_ASSIGN_OR_RETURN(bj::value value, parseJson(text, what));
  if (!value.is_object())
    return absl::InvalidArgumentError(strCat("parse ", what, ": expected a JSON object, not ",
                                             std::string(bj::to_string(value.kind()))));
  return std::move(value.get_object());
}

std::string stringMember(const bj::object& object, std::string_view key,
                         std::string_view otherwise) {
  const bj::value* value = object.if_contains(key);
  const bj::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string(text->data(), text->size()) : std::string(otherwise);
}

int64_t intMember(const bj::object& object, std::string_view key, int64_t otherwise) {
  const bj::value* value = object.if_contains(key);
  if (value == nullptr) return otherwise;
  if (const int64_t* number = value->if_int64()) return *number;
  // How an unsigned number is kept that was set, and not read.
  if (const uint64_t* number = value->if_uint64();
      number != nullptr && std::in_range<int64_t>(*number))
    return static_cast<int64_t>(*number);
  // Some writers give whole numbers as 1.0 or 1e3; 2^63 itself is already out of range.
  if (const double* number = value->if_double())
    if (std::trunc(*number) == *number && *number >= -0x1p63 && *number < 0x1p63)
      return static_cast<int64_t>(*number);
  return otherwise;
}

bool boolMember(const bj::object& object, std::string_view key, bool otherwise) {
  const bj::value* value = object.if_contains(key);
  const bool* flag = value != nullptr ? value->if_bool() : nullptr;
  return flag != nullptr ? *flag : otherwise;
}

std::vector<std::string> stringsMember(const bj::object& object, std::string_view key) {
  std::vector<std::string> result;
  const bj::array* array = arrayMember(object, key);
  if (array == nullptr) return result;
  result.reserve(array->size());
  for (const bj::value& element : *array)
    if (const bj::string* text = element.if_string())
      result.emplace_back(text->data(), text->size());
  return result;
}

const bj::object* objectMember(const bj::object& object, std::string_view key) {
  const bj::value* value = object.if_contains(key);
  return value != nullptr ? value->if_object() : nullptr;
}

const bj::array* arrayMember(const bj::object& object, std::string_view key) {
  const bj::value* value = object.if_contains(key);
  return value != nullptr ? value->if_array() : nullptr;
}

boost::json::object& objectAt(boost::json::object& parent, std::string_view key) {
  boost::json::value& value = parent[{key.data(), key.size()}];
  return value.is_object() ? value.get_object() : value.emplace_object();
}

boost::json::array& arrayAt(boost::json::object& parent, std::string_view key) {
  boost::json::value& value = parent[{key.data(), key.size()}];
  return value.is_array() ? value.get_array() : value.emplace_array();
}

boost::json::array jsonTexts(const std::vector<std::string>& texts) {
  boost::json::array array;
  array.reserve(texts.size());
  for (const std::string& text : texts) array.emplace_back(text);
  return array;
}

}  // namespace berth::support
