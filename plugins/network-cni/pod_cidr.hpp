// Writes the node's network configuration once its pod address range is known.
#pragma once

#include <string_view>

#include <absl/status/status.h>

#include "networks.hpp"
#include "options.hpp"

namespace berth::cni {

// Fills in the template of the options for `cidrs` ("10.0.0.0/24" or several, with commas) and puts
// it into the configuration directory, unless a network from another file is in use. OK without
// doing anything when no template is set or the range is empty. Idempotent. Blocks on the file
// system.
absl::Status writePodCidrConfig(const Options& options, Networks& networks, std::string_view cidrs);

}  // namespace berth::cni
