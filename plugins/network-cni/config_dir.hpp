// The directory of network configurations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config.hpp"

namespace berth::cni {

struct LoadedNetworks {
  std::optional<NetworkConfig> network;  // the one in use
  std::vector<std::string> problems;  // of files that come before it, or of all when there is none
};

// Reads `directory` and picks the first valid network in the order of the file names; with a name,
// the first of that name. Files of other extensions are left alone. Blocks on the file system.
LoadedNetworks loadNetworks(const std::string& directory, const std::string& name);

// Changes whenever a file that loadNetworks would read was written, renamed, added or removed.
// Costs a readdir and a stat for each file. A directory that cannot be read counts as empty.
std::string fingerprint(const std::string& directory);

}  // namespace berth::cni
