// What the streaming server serves. The engine implements it; the server knows nothing else of
// pods and containers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"

namespace berth::streaming {

// A terminal's size, in characters.
struct TerminalSize {
  uint16_t columns = 0;
  uint16_t rows = 0;
};

// The process's ends of its standard streams: the callee borrows them and keeps duplicates. -1
// means that the client did not ask for the stream. With a terminal, `error` is -1 and `output`
// carries everything.
struct ProcessEnds {
  int input = -1;
  int output = -1;
  int error = -1;
};

struct ExecRequest {
  std::string containerId;
  std::vector<std::string> command;
  bool terminal = false;
  TerminalSize size;  // zeroes when the client has not told it yet
};

struct AttachRequest {
  std::string containerId;
  bool terminal = false;
};

// A command that runs in a container. All functions may be called from any thread, beside each
// other.
class Execution {
 public:
  // Ends the command when it still runs. Does not block.
  virtual ~Execution() = default;
  // Blocks until the command has ended; its exit code, 128 + N when signal N ended it. CANCELLED
  // after cancel(). Once.
  virtual absl::StatusOr<int> wait() = 0;
  // Ends the command and all its descendants; wait() then returns soon. Idempotent, does not block.
  virtual void cancel() = 0;
  virtual absl::Status resize(TerminalSize size) = 0;
};

// All functions block, may be called from any thread, and answer in bounded time. Errors carry the
// code that CRI prescribes.
class Backend {
 public:
  virtual ~Backend() = default;

  // Starts a command; returns when it runs or has failed to.
  virtual absl::StatusOr<std::unique_ptr<Execution>> exec(const ExecRequest& request,
                                                          const ProcessEnds& ends) = 0;
  // Connects to a running container's own streams. They reach their end when the container exits;
  // closing the other ends detaches.
  virtual absl::Status attach(const AttachRequest& request, const ProcessEnds& ends) = 0;
  virtual absl::Status resizeContainer(const std::string& containerId, TerminalSize size) = 0;
  // A stream socket, blocking, connected to the port on the pod's loopback address: IPv4, then
  // IPv6. UNAVAILABLE when nothing listens there.
  virtual absl::StatusOr<support::Fd> connect(const std::string& podId, uint16_t port) = 0;
};

}  // namespace berth::streaming
