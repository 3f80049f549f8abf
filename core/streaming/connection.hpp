// One client's connection: handshake, request, session, end.
#pragma once

#include <atomic>
#include <memory>

#include "streaming/request.hpp"
#include "streaming/session.hpp"
#include "streaming/tokens.hpp"
#include "streaming/transport.hpp"

namespace berth::streaming {

// Bounds the sessions of a server. Thread-safe.
class SessionCount {
 public:
  explicit SessionCount(uint32_t most) : most_(most) {}

  // A place for one session, while it lives. Null when there is none.
  std::shared_ptr<void> take();
  uint32_t most() const { return most_; }
  uint32_t taken() const { return taken_; }

 private:
  const uint32_t most_;
  std::atomic<uint32_t> taken_{0};
};

// Belongs to the transport's strand.
class Connection {
 public:
  Connection(const Services& services, Tokens& tokens, SessionCount& sessions, Transport transport)
      : services_(services),
        tokens_(tokens),
        sessions_(sessions),
        transport_(std::move(transport)) {}

  // Serves the client; the connection is closed when it returns.
  Task<void> serve();
  // Makes serve() return soon.
  void stop();
  // A client that has no session: it has not asked for one yet, or its session has ended. From any
  // thread.
  bool isStranger() const { return stranger_; }

 private:
  Task<absl::Status> converse();
  Task<absl::Status> refuse(const Refusal& refusal);
  Task<absl::Status> upgrade(const HttpRequest& request, Upgrade upgrade);
  Task<absl::Status> answer(HttpResponse response);

  const Services& services_;
  Tokens& tokens_;
  SessionCount& sessions_;
  Transport transport_;
  Session* session_ = nullptr;
  bool stopped_ = false;
  std::atomic<bool> stranger_ = true;
};

}  // namespace berth::streaming
