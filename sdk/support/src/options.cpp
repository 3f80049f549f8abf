#include "berth/support/options.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "berth/support/status.hpp"

namespace berth::support {

std::string optionPath(std::string_view parent, std::string_view key) {
  const bool bare = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
  const std::string name =
      bare ? std::string(key)
           : boost::json::serialize(boost::json::string(boost::json::string_view(key)));
  return parent.empty() ? name : strCat(parent, ".", name);
}

absl::Status optionError(std::string_view path, std::string_view reason) {
  return absl::InvalidArgumentError(strCat("option ", path, ": ", reason));
}

absl::StatusOr<std::vector<std::string>> stringsOption(const boost::json::object& options,
                                                       std::string_view key) {
  std::vector<std::string> strings;
  const boost::json::value* value = options.if_contains(key);
  if (value == nullptr) return strings;
  if (!value->is_array()) return optionError(key, "must be an array of strings");
  for (const boost::json::value& item : value->get_array()) {
    if (!item.is_string())
      return optionError(strCat(key, "[", strings.size(), "]"), "must be a string");
    strings.emplace_back(item.get_string());
  }
  return strings;
}

}  // namespace berth::support
