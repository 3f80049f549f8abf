// What an upgraded connection serves, whatever protocol carries its streams: exec, attach and
// port-forward.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "common/workers.hpp"
#include "streaming/async.hpp"
#include "streaming/backend.hpp"
#include "streaming/server.hpp"
#include "streaming/stream.hpp"
#include "streaming/tokens.hpp"

namespace berth::streaming {

// What the protocol's version says about exec and attach.
struct CommandProtocol {
  enum class ErrorStream {
    kText,  // nothing after success, else a message
    kJson,  // always a Status object of Kubernetes, with the exit code
  };
  enum class Resize {
    kNone,
    kStream,  // with a terminal the client opens a stream for its size
  };
  ErrorStream errorStream = ErrorStream::kJson;
  Resize resize = Resize::kStream;
};

// What all sessions of a server share.
struct Services {
  const Settings& settings;
  Backend& backend;
  common::Workers& workers;
};

// One client's session. Belongs to the connection's strand.
class Session {
 public:
  Session(const Services& services, std::unique_ptr<StreamConnection> connection,
          boost::asio::any_io_executor executor, CommandProtocol protocol)
      : services_(services),
        connection_(std::move(connection)),
        executor_(std::move(executor)),
        protocol_(protocol),
        changed_(executor_) {}

  // Serves the request and ends the connection in an orderly way. How it went, for the log.
  Task<absl::Status> run(const StreamRequest& request);
  // The client is gone, or has to go: ends what runs for it. Idempotent; the first reason counts.
  void interrupt(absl::Status why);

  // For what runs in the session.

  const Services& services() const { return services_; }
  StreamConnection& connection() { return *connection_; }
  const boost::asio::any_io_executor& executor() const { return executor_; }
  const CommandProtocol& protocol() const { return protocol_; }
  // Payload came or went.
  void touch() { lastTraffic_ = std::chrono::steady_clock::now(); }
  bool interrupted() const { return !why_.ok(); }
  const absl::Status& why() const { return why_; }
  // Something that another part of the session waits for has changed.
  void notify() { changed_.notify(); }
  // Waits until the condition holds; looked at after each notify() and interrupt().
  template <class Condition>
  Task<void> until(Condition condition) {
    return changed_.until(std::move(condition));
  }
  template <class Work>
  Task<std::invoke_result_t<Work>> block(Work work) {
    return runBlocking(services_.workers, executor_, std::move(work));
  }

 private:
  Task<void> carry();
  void endWhenIdle();

  const Services& services_;
  const std::unique_ptr<StreamConnection> connection_;
  const boost::asio::any_io_executor executor_;
  const CommandProtocol protocol_;
  Signal changed_;
  absl::Status why_;
  std::chrono::steady_clock::time_point lastTraffic_ = std::chrono::steady_clock::now();
};

// The kinds of sessions. They return when everything they started has ended, the streams included;
// to bring that about they shut the connection down.
Task<absl::Status> execSession(Session& session, const runtime::v1::ExecRequest& request);
Task<absl::Status> attachSession(Session& session, const runtime::v1::AttachRequest& request);
Task<absl::Status> portForwardSession(Session& session,
                                      const runtime::v1::PortForwardRequest& request);

}  // namespace berth::streaming
