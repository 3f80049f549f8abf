// Between gRPC and the engine.
#pragma once

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include "engine/operations.hpp"

namespace berth::cri {

// The codes are the same; a message that is too long for a header is cut.
grpc::Status toGrpc(const absl::Status& status);

// When the answer must be on its way: shortly before the client's deadline, on the engine's clock.
engine::Deadline deadlineOf(const grpc::ServerContext& context);
// The same for an answer that is given without waiting for the work: a moment later.
engine::Deadline patienceOf(const grpc::ServerContext& context);

}  // namespace berth::cri
