#include "streaming/terminal_size.hpp"

#include <absl/strings/match.h>
#include <boost/json/value.hpp>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace json = boost::json;
using support::strCat;

namespace {

constexpr size_t kMostBytes = 1024;

json::parse_options options() {
  json::parse_options limits;
  limits.max_depth = 4;
  return limits;
}

absl::StatusOr<uint16_t> side(const json::object& size, std::string_view name) {
  for (const auto& [key, value] : size) {
    if (!absl::EqualsIgnoreCase({key.data(), key.size()}, support::toAbsl(name))) continue;
    boost::system::error_code error;
    const auto number = value.to_number<uint16_t>(error);
    if (!error) return number;
    return absl::InvalidArgumentError(strCat("a terminal's ", name, " is not a number of 16 bits"));
  }
  return uint16_t{0};
}

absl::StatusOr<TerminalSize> sizeOf(const json::value& value) {
  const json::object* object = value.if_object();
  if (object == nullptr) return absl::InvalidArgumentError("a terminal's size is no JSON object");
  TerminalSize size;
  BERTH_ASSIGN_OR_RETURN(size.columns, side(*object, "width"));
  BERTH_ASSIGN_OR_RETURN(size.rows, side(*object, "height"));
  return size;
}

}  // namespace

TerminalSizeReader::TerminalSizeReader() : parser_(json::storage_ptr(), options()) {}

absl::StatusOr<std::optional<TerminalSize>> TerminalSizeReader::feed(std::string_view bytes) {
  std::optional<TerminalSize> last;
  while (!bytes.empty()) {
    boost::system::error_code error;
    const size_t taken = parser_.write_some(bytes.data(), bytes.size(), error);
    length_ += taken;
    if (error) {
      return absl::InvalidArgumentError(strCat("a terminal's size is no JSON: ", error.message()));
    }
    if (length_ > kMostBytes) {
      return absl::InvalidArgumentError(
          strCat("a terminal's size takes more than ", kMostBytes, " bytes"));
    }
    bytes.remove_prefix(taken);
    if (!parser_.done()) break;
    BERTH_ASSIGN_OR_RETURN(const TerminalSize size, sizeOf(parser_.release()));
    if (size.columns > 0 && size.rows > 0) last = size;
    parser_.reset();
    length_ = 0;
  }
  return last;
}

}  // namespace berth::streaming
