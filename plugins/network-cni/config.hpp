// One network configuration (CNI spec, section 1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "version.hpp"

namespace berth::cni {

struct PluginConfig {
  std::string type;            // the name of its binary
  boost::json::object object;  // as written, unknown keys included
};

struct NetworkConfig {
  std::string name;
  Version version;               // the one that is spoken; the highest offered until a probe
  std::vector<Version> offered;  // without those newer than this program
  bool disableCheck = false;
  bool disableGc = false;
  bool loadOnlyInlined = false;
  std::vector<PluginConfig> plugins;
  std::string source;  // the file it came from; for messages

  // A conflist that parseNetwork turns into the same network, with `version` chosen.
  boost::json::object toJson() const;
};

enum class FileKind {
  kList,    // *.conflist: may get its plugins from a folder alone
  kEither,  // *.conf, *.json: a single plugin, or a list when it has "plugins"
};

// Reads a list or, upgraded to a list of one, a single plugin's configuration. `what` names it in
// errors. INVALID_ARGUMENT says what is wrong with which key. A kList without plugins is valid
// here: they may come from its folder.
absl::StatusOr<NetworkConfig> parseNetwork(std::string_view text, const std::string& what,
                                           FileKind kind);

// The same from a document that is already parsed.
absl::StatusOr<NetworkConfig> parseNetwork(const boost::json::object& document,
                                           const std::string& what, FileKind kind);

// One plugin's configuration object.
absl::StatusOr<PluginConfig> parsePlugin(const boost::json::value& value, const std::string& what);

}  // namespace berth::cni
