// The way from the commands to a running daemon.
#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

namespace berth::program {

// To the daemon that serves `socket`. It takes answers of any size. Does not block.
std::shared_ptr<grpc::Channel> channelTo(const std::string& socket);

// What a call over that came to: UNAVAILABLE when there is no daemon, UNIMPLEMENTED when it is too
// old to know the call.
absl::Status statusOf(const grpc::Status& status, const std::string& socket);

}  // namespace berth::program
