// What the running daemon tells of itself.
#pragma once

#include <string>

#include <absl/status/statusor.h>
#include <boost/json.hpp>

#include "cri-runtime-v1.pb.h"

namespace berth::program {

// The verbose status (CRI, Status) of the daemon on `socket`; UNAVAILABLE when there is none.
// Blocks, for ten seconds at most.
absl::StatusOr<runtime::v1::StatusResponse> askForStatus(const std::string& socket);

// A member of its info. UNIMPLEMENTED: the daemon, which is named by `socket`, does not tell it.
absl::StatusOr<boost::json::value> infoOf(const runtime::v1::StatusResponse& status,
                                          const std::string& key, const std::string& socket);
absl::StatusOr<boost::json::array> listOf(const runtime::v1::StatusResponse& status,
                                          const std::string& key, const std::string& socket);

// What a state is called, for people and in metrics.
std::string wordOf(runtime::v1::ContainerState state);

// Such a list, by a call of its own.
absl::StatusOr<boost::json::array> askDaemon(const std::string& socket, const std::string& key);

}  // namespace berth::program
