// What the commands ask of a running daemon (berth.admin.v1).
#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "berth-admin-v1.pb.h"

namespace berth::program {

// Of the daemon that serves `socket`; UNAVAILABLE when there is none. Block, for half a minute at
// most.
absl::StatusOr<berth::admin::v1::ReloadResponse> askToReload(const std::string& socket);
absl::StatusOr<berth::admin::v1::ConfigurationResponse> askForConfiguration(
    const std::string& socket);

}  // namespace berth::program
