// The way from the commands to a running daemon.
#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

namespace berth::program {

// To the daemon that serves `socket`. It takes answers of any size. Does not block.
std::shared_ptr<grpc::Channel> channelTo(const std::string& socket);

// Whether a daemon can be asked: connects once, and says what to do when that fails. UNAVAILABLE
// when none serves `socket`, PERMISSION_DENIED without the right to connect. Does not block.
absl::Status reachDaemon(const std::string& socket);

// What a call over that channel came to: as reachDaemon() when there is no daemon, UNIMPLEMENTED
// when it is too old to know the call, otherwise what the daemon has answered.
absl::Status statusOf(const grpc::Status& status, const std::string& socket);

}  // namespace berth::program
