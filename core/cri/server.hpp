// The daemon's gRPC server on its Unix socket.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include <absl/status/statusor.h>
#include <grpcpp/grpcpp.h>

#include "cri/call_meter.hpp"
#include "cri/image_service.hpp"
#include "cri/runtime_service.hpp"

namespace berth::cri {

struct ServerSettings {
  std::string socket;
  mode_t mode = 0660;
  std::optional<gid_t> group;  // none: the daemon's
  int maxMessageBytes = 16 << 20;
};

// The group that a name or a number means. FAILED_PRECONDITION when there is none of that name.
absl::StatusOr<gid_t> socketGroup(const std::string& group);

// FAILED_PRECONDITION when something stands at `path` that is no socket: it is not the daemon's to
// replace.
absl::Status refuseNoSocket(const std::string& path);

// Serves from creation until stop(), also the `others`, which must outlive it, and tells `ended`,
// unless it is empty, of each call. FAILED_PRECONDITION when another daemon serves the socket or it
// cannot be made; a socket that nobody serves any more is replaced.
class Server {
 public:
  static absl::StatusOr<std::unique_ptr<Server>> start(const ServerSettings& settings,
                                                       RuntimeService& runtime,
                                                       ImageService& images,
                                                       const std::vector<grpc::Service*>& others,
                                                       CallEnded ended);
  ~Server() { stop({}); }
  // Refuses new calls, gives those that run a moment, and then cuts them off: their clients are
  // told so, and `cutOff` is called, which must make handlers that block return. Idempotent.
  void stop(const std::function<void()>& cutOff);

 private:
  explicit Server(std::unique_ptr<grpc::Server> server) : server_(std::move(server)) {}
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace berth::cri
