// A ttrpc server on an event loop. No exceptions, nothing beyond libstdc++.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "berth/streams/listener.hpp"
#include "berth/streams/loop.hpp"
#include "frame.hpp"
#include "message.hpp"

namespace berth::kata::ttrpc {

using streams::Fd;

class Server;
class ServerConnection;

// The way back for one request. Copyable; may outlive the connection, and is of no use then.
class Responder {
 public:
  Responder(Server& server, uint64_t connection, uint32_t stream)
      : server_(&server), connection_(connection), stream_(stream) {}
  // Once, at once or later, in any order with others. A response of more than kMaxData becomes
  // RESOURCE_EXHAUSTED.
  void answer(const Response& response) const;
  // Whether somebody still waits; nobody does once the client has hung up.
  bool isWanted() const;

 private:
  Server* server_;
  uint64_t connection_;
  uint32_t stream_;
};

class Handler {
 public:
  // Unary calls alone: what is streamed is answered with UNIMPLEMENTED. `request.timeoutNs` is the
  // client's, which nobody else keeps.
  virtual void onRequest(Request request, Responder responder) = 0;

 protected:
  ~Handler() = default;
};

// Serves the connections of a listening socket. A client that breaks a rule of the protocol (an
// even or a repeated stream, a response, what is no request) is hung up on, and so is one that
// does not read its responses.
class Server final : streams::Acceptor {
 public:
  Server(streams::Loop& loop, Handler& handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // `listener`: non-blocking, of type SOCK_STREAM. Peers of another user are hung up on.
  streams::Status open(Fd listener);
  void close();
  size_t connections() const { return connections_.size(); }

 private:
  friend class ServerConnection;
  friend class Responder;

  void onAccepted(Fd socket) override;
  ServerConnection* find(uint64_t id) const;
  void hangUp(ServerConnection& connection);

  streams::Loop& loop_;
  Handler& handler_;
  streams::Listener listener_;
  uint64_t lastId_ = 0;
  std::vector<std::unique_ptr<ServerConnection>> connections_;
};

}  // namespace berth::kata::ttrpc
