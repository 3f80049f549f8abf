// Attach: the streams of a container's own process.
#include <string>
#include <utility>

#include "streaming/command_io.hpp"
#include "streaming/command_status.hpp"
#include "streaming/session.hpp"

namespace berth::streaming {

namespace v1 = runtime::v1;

namespace {

class AttachSession {
 public:
  AttachSession(Session& session, const v1::AttachRequest& request)
      : session_(session),
        request_(request),
        io_(session, {request.stdin(), request.stdout(), request.stderr(), request.tty()}) {}

  Task<absl::Status> run() {
    const absl::Status status = co_await attach();
    const auto format = session_.protocol().errorStream;
    // Not within the co_await: see stream.hpp.
    std::string message = status.ok() ? exitMessage(format, 0) : failureMessage(format, status);
    co_await io_.sendStatus(std::move(message));
    // Closes the pipes, which detaches.
    co_await io_.join();
    co_return status;
  }

 private:
  Task<absl::Status> attach() {
    const absl::Status opened = co_await io_.openStreams();
    if (!opened.ok()) co_return opened;
    const absl::Status connected = co_await connect();
    if (!connected.ok()) co_return connected;
    io_.start();
    io_.startResizing([this](TerminalSize size) {
      return session_.services().backend.resizeContainer(request_.container_id(), size);
    });

    co_await session_.until([this] { return ended() || session_.interrupted(); });
    if (!ended()) co_return session_.why();
    co_return absl::OkStatus();
  }

  Task<absl::Status> connect() {
    const absl::Status piped = io_.openPipes();
    if (!piped.ok()) co_return piped;
    AttachRequest request;
    request.containerId = request_.container_id();
    request.terminal = request_.tty();
    absl::Status attached = co_await session_.block(
        [this, &request] { return session_.services().backend.attach(request, io_.ends()); });
    io_.releaseEnds();
    co_return attached;
  }

  // With outputs the container's end, or the backend's detaching, ends them; input alone lasts as
  // long as someone writes and reads it.
  bool ended() const {
    return request_.stdout() || request_.stderr() ? io_.outputEnded() : io_.inputEnded();
  }

  Session& session_;
  const v1::AttachRequest& request_;
  CommandIo io_;
};

}  // namespace

Task<absl::Status> attachSession(Session& session, const v1::AttachRequest& request) {
  AttachSession attach(session, request);
  co_return co_await attach.run();
}

}  // namespace berth::streaming
