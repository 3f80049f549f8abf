// What a plugin's call would cost if plugins were services, as they are for engines that take them
// over gRPC: a small call over a UNIX socket to a process of its own.
#pragma once

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/process.hpp"
#include "cri-runtime-v1.grpc.pb.h"

namespace berth::bench {

class GrpcPeer {
 public:
  // Starts this program once more, as servePeer(); it ends with the object.
  static absl::StatusOr<GrpcPeer> start(const std::string& socket);

  // CRI's Version: some bytes each way. Blocks. Not for several threads.
  absl::Status call();

 private:
  GrpcPeer(support::Process server, std::unique_ptr<runtime::v1::RuntimeService::Stub> stub)
      : server_(std::move(server)), stub_(std::move(stub)) {}

  support::Process server_;
  std::unique_ptr<runtime::v1::RuntimeService::Stub> stub_;
};

// Whether that is what the arguments want; then main() has nothing else to do.
bool isPeer(int argc, char** argv);
// Serves until it is killed, or its parent ends.
int servePeer(char** argv);

}  // namespace berth::bench
