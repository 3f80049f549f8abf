// What the commands ask of a running daemon (berth.admin.v1).
#pragma once

#include <functional>
#include <string>

#include <absl/status/statusor.h>

#include "berth-admin-v1.pb.h"

namespace berth::program {

// Of the daemon that serves `socket`; UNAVAILABLE when there is none. Block, for half a minute at
// most.
absl::StatusOr<berth::admin::v1::ReloadResponse> askToReload(const std::string& socket);
absl::StatusOr<berth::admin::v1::ReloadPluginResponse> askToReloadPlugin(const std::string& socket,
                                                                         const std::string& name);
absl::StatusOr<berth::admin::v1::ConfigurationResponse> askForConfiguration(
    const std::string& socket);

// "log.level: "info" -> "debug"".
std::string changeText(const berth::admin::v1::Change& change);

absl::StatusOr<berth::admin::v1::TimelinesResponse> askForTimelines(const std::string& socket,
                                                                    const std::string& object);

absl::StatusOr<berth::admin::v1::AbandonNetworkResponse> askToAbandonNetwork(
    const std::string& socket, const std::string& pod);

// Shows each finding as it is made. Blocks as long as the check takes; one for what has been set
// aside alone no longer than half a minute.
absl::Status askToCheckStorage(
    const std::string& socket, const berth::admin::v1::CheckStorageRequest& request,
    const std::function<void(const berth::admin::v1::StorageFinding&)>& show);

}  // namespace berth::program
