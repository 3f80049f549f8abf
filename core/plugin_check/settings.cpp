#include "plugin_check/settings.hpp"

#include <sstream>

#include <toml++/toml.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "berth/support/status.hpp"

namespace berth::check {

namespace json = boost::json;
using support::strCat;

namespace {

// "string" for a declared option of that type; empty for what is not declared.
std::string declaredType(std::string_view declaration, std::string_view key) {
  const auto declared = support::parseJson(declaration, "the plugin's options");
  if (!declared.ok() || !declared->is_array()) return {};
  for (const json::value& item : declared->get_array()) {
    const json::object* option = item.if_object();
    if (option != nullptr && support::stringMember(*option, "key") == key)
      return support::stringMember(*option, "type");
  }
  return {};
}

absl::Status setOption(json::object& options, std::string_view declaration,
                       std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == 0 || equals == std::string_view::npos) {
    return absl::InvalidArgumentError(strCat("--set ", assignment, ": is not KEY=VALUE"));
  }
  std::string_view key = assignment.substr(0, equals);
  const std::string text(assignment.substr(equals + 1));
  json::value value(text);
  if (declaredType(declaration, key) != "string") {
    auto parsed = support::parseJson(text, key);
    if (parsed.ok()) value = *std::move(parsed);
  }
  json::object* table = &options;
  for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
    json::value& inner = (*table)[key.substr(0, dot)];
    if (!inner.is_object()) inner = json::object();
    table = &inner.get_object();
    key.remove_prefix(dot + 1);
  }
  (*table)[key] = std::move(value);
  return absl::OkStatus();
}

}  // namespace

json::object toJson(const Settings& settings) {
  return {{"file", settings.file},
          {"interfaceId", settings.interfaceId},
          {"pluginHost", settings.pluginHost},
          {"options", settings.options},
          {"sets", json::value_from(settings.sets)},
          {"extensions", json::value_from(settings.extensions)},
          {"rootfs", settings.rootfs},
          {"cgroupParent", settings.cgroupParent},
          {"cgroupDriver", settings.cgroupDriver},
          {"hostInterfaces", json::value_from(settings.hostInterfaces)},
          {"reference", settings.reference},
          {"unknownReference", settings.unknownReference},
          {"failed", json::value_from(settings.failed)},
          {"valgrind", json::value_from(settings.valgrind)},
          {"timeLimit", settings.timeLimit}};
}

absl::StatusOr<Settings> settingsFromJson(std::string_view text) {
  BERTH_ASSIGN_OR_RETURN(const json::object given, support::parseJsonObject(text, "settings"));
  Settings settings;
  settings.file = support::stringMember(given, "file");
  settings.interfaceId = support::stringMember(given, "interfaceId");
  settings.pluginHost = support::stringMember(given, "pluginHost");
  if (const json::value* options = given.if_contains("options")) {
    settings.options = options->as_object();
  }
  settings.sets = support::stringsMember(given, "sets");
  settings.extensions = support::stringsMember(given, "extensions");
  settings.rootfs = support::stringMember(given, "rootfs");
  settings.cgroupParent = support::stringMember(given, "cgroupParent");
  settings.cgroupDriver = support::stringMember(given, "cgroupDriver");
  settings.hostInterfaces = support::stringsMember(given, "hostInterfaces");
  settings.reference = support::stringMember(given, "reference");
  settings.unknownReference = support::stringMember(given, "unknownReference");
  settings.failed = support::stringsMember(given, "failed");
  settings.valgrind = support::stringsMember(given, "valgrind");
  settings.timeLimit = support::intMember(given, "timeLimit", 60);
  return settings;
}

absl::StatusOr<json::object> readOptions(const std::string& path) {
  BERTH_ASSIGN_OR_RETURN(std::string text, support::readFile(path));
  if (!path.ends_with(".json")) {
    try {
      const toml::table table = toml::parse(text, path);
      std::ostringstream out;
      out << toml::json_formatter(table);
      text = out.str();
    } catch (const toml::parse_error& error) {
      const toml::source_position at = error.source().begin;
      return absl::InvalidArgumentError(
          strCat(path, ":", at.line, ":", at.column, ": ", std::string(error.description())));
    }
  }
  return support::parseJsonObject(text, path);
}

absl::StatusOr<json::object> optionsOf(const Settings& settings, std::string_view declaration) {
  json::object options = settings.options;
  for (const std::string& assignment : settings.sets) {
    BERTH_RETURN_IF_ERROR(setOption(options, declaration, assignment));
  }
  return options;
}

}  // namespace berth::check
