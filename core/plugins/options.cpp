#include "plugins/options.hpp"

#include <algorithm>
#include <vector>

#include <absl/strings/str_join.h>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::plugins {

namespace json = boost::json;

namespace {

struct Option {
  std::string key;
  std::string type;
  const json::value* fallback;  // null: required
};

bool hasType(const json::value& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_bool();
  if (type == "array") return value.is_array();
  if (type == "table") return value.is_object();
  return false;
}

absl::StatusOr<std::vector<Option>> parseDeclaration(const json::value& declaration) {
  if (!declaration.is_array()) {
    return absl::FailedPreconditionError("its options are not declared as a JSON array");
  }
  std::vector<Option> options;
  for (const json::value& item : declaration.get_array()) {
    const json::object* object = item.if_object();
    if (object == nullptr || support::stringMember(*object, "key").empty()) {
      return absl::FailedPreconditionError("an option it declares has no key");
    }
    options.push_back({support::stringMember(*object, "key"),
                       support::stringMember(*object, "type"), object->if_contains("default")});
  }
  return options;
}

}  // namespace

absl::StatusOr<json::object> resolveOptions(std::string_view declaration,
                                            const json::object& given) {
  BERTH_ASSIGN_OR_RETURN(
      const json::value declared,
      support::parseJson(declaration.empty() ? "[]" : declaration, "the plugin's options"));
  BERTH_ASSIGN_OR_RETURN(const std::vector<Option> options, parseDeclaration(declared));

  std::vector<std::string> problems;
  json::object resolved;
  for (const Option& option : options) {
    const json::value* value = given.if_contains(option.key);
    if (value != nullptr && !hasType(*value, option.type)) {
      problems.push_back(
          support::strCat("option \"", option.key, "\" must be of type ", option.type));
    } else if (value != nullptr) {
      resolved[option.key] = *value;
    } else if (option.fallback != nullptr) {
      resolved[option.key] = *option.fallback;
    } else {
      problems.push_back(support::strCat("option \"", option.key, "\" is required"));
    }
  }
  for (const auto& [key, value] : given) {
    if (resolved.contains(key)) continue;
    const std::string name(key);
    const bool declaredKey =
        std::any_of(options.begin(), options.end(), [&](const Option& o) { return o.key == name; });
    if (declaredKey) continue;
    std::vector<std::string> known;
    for (const Option& option : options) known.push_back(option.key);
    problems.push_back(
        support::strCat("unknown option \"", name, "\" (known: ", absl::StrJoin(known, ", "), ")"));
  }
  if (!problems.empty()) return absl::InvalidArgumentError(absl::StrJoin(problems, "; "));
  return resolved;
}

}  // namespace berth::plugins
