// The streaming server: what Exec, Attach and PortForward return a URL of (CRI, "Streaming").
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cri-runtime-v1.pb.h"
#include "streaming/backend.hpp"

namespace berth::streaming {

struct Settings {
  std::string address = "127.0.0.1";           // an IPv4 or IPv6 address of this host
  uint16_t port = 0;                           // 0: the kernel chooses
  std::chrono::seconds idleTimeout{4 * 3600};  // a session without traffic ends; 0: never
  std::chrono::seconds tokenLifetime{60};      // from the CRI call to the client's connection
  std::chrono::seconds handshakeTimeout{30};   // for the request and for all streams to be opened
  uint32_t maxSessions = 1024;
  // TLS, when both are given: PEM files, read again when they change.
  std::string certificateFile;
  std::string keyFile;
  std::string clientCaFile;  // clients must present a certificate of it
};

// Thread-safe. Threads are started with the first URL that is asked for, so that a node without
// streams pays for none.
class Server {
 public:
  // Listens at once, so that an address in use stops the start. `backend` must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> start(const Settings& settings, Backend& backend);
  // Ends all sessions and joins the threads.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // A URL with a token that admits one connection, within Settings::tokenLifetime. The requests
  // were checked by the caller (the container runs, the command is not empty); contradictory
  // streams are INVALID_ARGUMENT; too many tokens unused, or no thread to start:
  // RESOURCE_EXHAUSTED.
  absl::StatusOr<std::string> execUrl(const runtime::v1::ExecRequest& request);
  absl::StatusOr<std::string> attachUrl(const runtime::v1::AttachRequest& request);
  absl::StatusOr<std::string> portForwardUrl(const runtime::v1::PortForwardRequest& request);

  // The port it listens on.
  uint16_t port() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::streaming
