#include "plugins/options.hpp"

#include <algorithm>
#include <vector>

#include <absl/strings/str_join.h>

#include "berth/support/json.hpp"
#include "berth/support/options.hpp"
#include "berth/support/status.hpp"
#include "berth/support/suggestion.hpp"

namespace berth::plugins {

namespace json = boost::json;
using support::strCat;

namespace {

struct Option {
  std::string key;
  std::string type;
  const json::value* fallback;  // null: required
};

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

std::string_view typeName(const json::value& value) {
  for (const std::string_view type : {"string", "integer", "number", "boolean", "array", "table"})
    if (hasOptionType(value, type)) return type;
  return "null";
}

absl::Status unknownOption(const std::string& key, const std::vector<std::string>& known) {
  const std::string path = support::optionPath({}, key);
  if (known.empty()) return support::optionError(path, "is not known; the plugin takes no options");
  if (const std::string near = support::nearest(key, known); !near.empty())
    return support::optionError(path, strCat("is not known; did you mean ", near, "?"));
  return support::optionError(path,
                              strCat("is not known; known here: ", absl::StrJoin(known, ", ")));
}

}  // namespace

bool hasOptionType(const json::value& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_int64() || value.is_uint64();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_bool();
  if (type == "array") return value.is_array();
  if (type == "table") return value.is_object();
  return false;
}

absl::StatusOr<json::object> resolveOptions(std::string_view declaration,
                                            const json::object& given) {
  BERTH_ASSIGN_OR_RETURN(
      const json::value declared,
      support::parseJson(declaration.empty() ? "[]" : declaration, "the plugin's options"));
  BERTH_ASSIGN_OR_RETURN(const std::vector<Option> options, parseDeclaration(declared));

  support::StatusCollector problems("\n");
  json::object resolved;
  for (const Option& option : options) {
    const json::value* value = given.if_contains(option.key);
    if (value != nullptr && !hasOptionType(*value, option.type)) {
      problems.add(support::optionError(
          option.key, strCat("must be of type ", option.type, ", not ", typeName(*value))));
    } else if (value != nullptr) {
      resolved[option.key] = *value;
    } else if (option.fallback != nullptr) {
      resolved[option.key] = *option.fallback;
    } else {
      problems.add(support::optionError(option.key, "is required"));
    }
  }
  std::vector<std::string> known;
  known.reserve(options.size());
  for (const Option& option : options) known.push_back(option.key);
  for (const auto& member : given) {
    const std::string key(member.key());
    if (std::find(known.begin(), known.end(), key) == known.end())
      problems.add(unknownOption(key, known));
  }
  BERTH_RETURN_IF_ERROR(problems.status());
  return resolved;
}

}  // namespace berth::plugins
