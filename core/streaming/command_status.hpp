// What the error stream of exec and attach says at the end (Kubernetes, remote command protocols).
#pragma once

#include <string>

#include <absl/status/status.h>

#include "streaming/session.hpp"

namespace berth::streaming {

// `code` as Execution::wait gives it.
std::string exitMessage(CommandProtocol::ErrorStream format, int code);
std::string failureMessage(CommandProtocol::ErrorStream format, const absl::Status& failure);

}  // namespace berth::streaming
