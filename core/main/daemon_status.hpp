// What the running daemon tells of itself.
#pragma once

#include <string>

#include <absl/status/statusor.h>
#include <boost/json/array.hpp>

namespace berth::program {

// A list of the verbose status (CRI, StatusResponse.info) of the daemon on `socket`; UNAVAILABLE
// when there is none. Blocks, for three seconds at most.
absl::StatusOr<boost::json::array> askDaemon(const std::string& socket, const std::string& key);

}  // namespace berth::program
