// Exec: a command in a container, with its streams.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "berth/support/status.hpp"
#include "streaming/command_io.hpp"
#include "streaming/command_status.hpp"
#include "streaming/session.hpp"

namespace berth::streaming {

namespace v1 = runtime::v1;

namespace {

class ExecSession {
 public:
  ExecSession(Session& session, const v1::ExecRequest& request)
      : session_(session),
        request_(request),
        io_(session, {request.stdin(), request.stdout(), request.stderr(), request.tty()}),
        tasks_(session.executor()) {}

  Task<absl::Status> run() {
    const absl::StatusOr<int> code = co_await execute();
    const auto format = session_.protocol().errorStream;
    // Not within the co_await: see stream.hpp.
    std::string message =
        code.ok() ? exitMessage(format, *code) : failureMessage(format, code.status());
    co_await io_.sendStatus(std::move(message));
    co_await io_.join();
    co_await tasks_.join();
    co_return code.status();
  }

 private:
  // The exit code, once all output is with the client.
  Task<absl::StatusOr<int>> execute() {
    const absl::Status opened = co_await io_.openStreams();
    if (!opened.ok()) co_return opened;
    const absl::Status started = co_await start();
    if (!started.ok()) co_return started;
    io_.start();
    io_.startResizing(
        [execution = execution_](TerminalSize size) { return execution->resize(size); });
    tasks_.spawn(awaitExit());

    co_await session_.until([this] { return exit_ || session_.interrupted(); });
    if (!exit_) {
      // Nobody hears of it any more: it reads the end of its input, writes to nobody, and ends.
      io_.abandon();
      execution_->cancel();
      co_await session_.until([this] { return exit_.has_value(); });
      co_return session_.why();
    }
    io_.processEnded();
    co_await session_.until([this] { return io_.outputEnded() || session_.interrupted(); });
    if (!io_.outputEnded()) co_return session_.why();
    co_return *exit_;
  }

  Task<absl::Status> start() {
    const absl::Status piped = io_.openPipes();
    if (!piped.ok()) co_return piped;
    ExecRequest request;
    request.containerId = request_.container_id();
    request.command.assign(request_.cmd().begin(), request_.cmd().end());
    request.terminal = request_.tty();
    absl::StatusOr<std::unique_ptr<Execution>> execution = co_await session_.block(
        [this, &request] { return session_.services().backend.exec(request, io_.ends()); });
    io_.releaseEnds();
    if (!execution.ok()) co_return execution.status();
    execution_ = *std::move(execution);
    co_return absl::OkStatus();
  }

  Task<void> awaitExit() {
    exit_ = co_await session_.block([this] { return execution_->wait(); });
    session_.notify();
  }

  Session& session_;
  const v1::ExecRequest& request_;
  CommandIo io_;
  std::shared_ptr<Execution> execution_;
  std::optional<absl::StatusOr<int>> exit_;
  TaskGroup tasks_;
};

}  // namespace

Task<absl::Status> execSession(Session& session, const v1::ExecRequest& request) {
  ExecSession exec(session, request);
  co_return co_await exec.run();
}

}  // namespace berth::streaming
