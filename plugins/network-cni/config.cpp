#include "config.hpp"

#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "options.hpp"

namespace berth::cni {

namespace bj = boost::json;
using support::strCat;

namespace {

absl::Status refuse(const std::string& what, std::string_view reason) {
  return absl::InvalidArgumentError(strCat(what, ": ", reason));
}

absl::StatusOr<std::string> readString(const bj::object& object, const std::string& what,
                                       std::string_view key) {
  const bj::value* value = object.if_contains(key);
  if (value == nullptr) return std::string();
  if (!value->is_string()) return refuse(what, strCat(key, " must be a string"));
  return std::string(value->get_string().data(), value->get_string().size());
}

// Booleans are found as strings in the field, and the reference library takes them.
absl::Status readFlag(const bj::object& object, const std::string& what, std::string_view key,
                      bool& out) {
  const bj::value* value = object.if_contains(key);
  if (value == nullptr) return absl::OkStatus();
  if (value->is_bool()) {
    out = value->get_bool();
    return absl::OkStatus();
  }
  std::string text = support::stringMember(object, key);
  std::transform(text.begin(), text.end(), text.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  if (text != "true" && text != "false") return refuse(what, strCat(key, " must be true or false"));
  out = text == "true";
  return absl::OkStatus();
}

absl::Status addVersion(const std::string& what, std::string_view key, std::string_view text,
                        NetworkConfig& network) {
  auto version = parseVersion(text);
  if (!version.ok())
    return refuse(what, strCat(key, ": ", support::fromAbsl(version.status().message())));
  if (*version <= kNewest) network.offered.push_back(*version);
  return absl::OkStatus();
}

// The highest version both sides know (CNI spec, section 1, "Version considerations").
absl::Status readVersions(const bj::object& object, const std::string& what,
                          NetworkConfig& network) {
  BERTH_ASSIGN_OR_RETURN(std::string single, readString(object, what, "cniVersion"));
  const bj::value* list = object.if_contains("cniVersions");
  // Files from before the key existed are of the first version.
  if (single.empty() && list == nullptr) single = kOldest.text();
  if (!single.empty()) BERTH_RETURN_IF_ERROR(addVersion(what, "cniVersion", single, network));
  if (list != nullptr) {
    if (!list->is_array()) return refuse(what, "cniVersions must be a list of strings");
    for (const bj::value& item : list->get_array()) {
      if (!item.is_string()) return refuse(what, "cniVersions must be a list of strings");
      BERTH_RETURN_IF_ERROR(addVersion(
          what, "cniVersions", {item.get_string().data(), item.get_string().size()}, network));
    }
  }
  if (network.offered.empty())
    return absl::FailedPreconditionError(
        strCat(what, ": it needs a CNI version newer than ", kNewest.text(),
               ", the newest known; offer an older one in cniVersions"));
  std::sort(network.offered.begin(), network.offered.end());
  const auto repeated = std::unique(network.offered.begin(), network.offered.end());
  network.offered.erase(repeated, network.offered.end());
  network.version = network.offered.back();
  return absl::OkStatus();
}

absl::Status readPlugins(const bj::object& object, const std::string& what, FileKind kind,
                         NetworkConfig& network) {
  const bj::value* plugins = object.if_contains("plugins");
  if (plugins == nullptr && kind == FileKind::kEither) {
    BERTH_ASSIGN_OR_RETURN(PluginConfig single, parsePlugin(object, what));
    network.plugins.push_back(std::move(single));
    network.loadOnlyInlined = true;  // an old file has no folder of plugins
    return absl::OkStatus();
  }
  if (plugins == nullptr) {
    if (network.loadOnlyInlined)
      return refuse(what, "loadOnlyInlinedPlugins is true, but there is no \"plugins\"");
    return absl::OkStatus();
  }
  if (!plugins->is_array() || plugins->get_array().empty())
    return refuse(what, "plugins must be a list of at least one plugin");
  size_t index = 0;
  for (const bj::value& item : plugins->get_array()) {
    BERTH_ASSIGN_OR_RETURN(PluginConfig plugin,
                           parsePlugin(item, strCat(what, ": plugins[", index++, "]")));
    network.plugins.push_back(std::move(plugin));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PluginConfig> parsePlugin(const bj::value& value, const std::string& what) {
  if (!value.is_object()) return refuse(what, "must be an object");
  const bj::object& object = value.get_object();
  BERTH_ASSIGN_OR_RETURN(std::string type, readString(object, what, "type"));
  if (type.empty()) return refuse(what, "type, the name of the plugin's binary, is missing");
  if (type.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos || type == "." ||
      type == "..")
    return refuse(what, strCat("type \"", type, "\" must be a file name"));
  const bj::value* capabilities = object.if_contains("capabilities");
  if (capabilities != nullptr && !capabilities->is_object() && !capabilities->is_null())
    return refuse(what, "capabilities must be an object");
  return PluginConfig{std::move(type), object};
}

absl::StatusOr<NetworkConfig> parseNetwork(const bj::object& document, const std::string& what,
                                           FileKind kind) {
  NetworkConfig network;
  network.source = what;
  BERTH_ASSIGN_OR_RETURN(network.name, readString(document, what, "name"));
  if (!isIdentifier(network.name))
    return refuse(what, "name must be given, of letters, digits, \"_\", \".\" and \"-\"");
  BERTH_RETURN_IF_ERROR(readVersions(document, what, network));
  BERTH_RETURN_IF_ERROR(readFlag(document, what, "disableCheck", network.disableCheck));
  BERTH_RETURN_IF_ERROR(readFlag(document, what, "disableGC", network.disableGc));
  BERTH_RETURN_IF_ERROR(
      readFlag(document, what, "loadOnlyInlinedPlugins", network.loadOnlyInlined));
  BERTH_RETURN_IF_ERROR(readPlugins(document, what, kind, network));
  return network;
}

absl::StatusOr<NetworkConfig> parseNetwork(std::string_view text, const std::string& what,
                                           FileKind kind) {
  BERTH_ASSIGN_OR_RETURN(const bj::object document, support::parseJsonObject(text, what));
  return parseNetwork(document, what, kind);
}

bj::object NetworkConfig::toJson() const {
  bj::array list;
  for (const PluginConfig& plugin : plugins) list.push_back(plugin.object);
  return {{"cniVersion", version.text()},   {"name", name},
          {"disableCheck", disableCheck},   {"disableGC", disableGc},
          {"loadOnlyInlinedPlugins", true}, {"plugins", std::move(list)}};
}

}  // namespace berth::cni
