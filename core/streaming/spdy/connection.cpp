#include "streaming/spdy/connection.hpp"

#include <utility>

#include "streaming/spdy/session.hpp"

namespace berth::streaming::spdy {

namespace {

// A stream in the hands of its user.
class UserStream final : public Stream {
 public:
  UserStream(Session::Self session, Session::StreamRef state)
      : session_(std::move(session)), state_(std::move(state)) {}
  ~UserStream() override { session_->letGo(state_); }
  UserStream(const UserStream&) = delete;
  UserStream& operator=(const UserStream&) = delete;

  const std::map<std::string, std::string>& headers() const override { return state_->headers; }
  Task<absl::StatusOr<size_t>> read(boost::asio::mutable_buffer into) override {
    return Session::read(session_, state_, into);
  }
  Task<absl::Status> write(boost::asio::const_buffer bytes) override {
    return Session::write(session_, state_, bytes);
  }
  Task<absl::Status> closeWrite() override { return Session::closeWrite(session_, state_); }
  void reset() override { session_->reset(state_); }

 private:
  const Session::Self session_;
  const Session::StreamRef state_;
};

class Connection final : public StreamConnection {
 public:
  explicit Connection(Session::Self session) : session_(std::move(session)) {}
  ~Connection() override { session_->abandon(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Task<absl::StatusOr<std::shared_ptr<Stream>>> accept() override { return acceptNext(session_); }
  Task<absl::Status> run() override { return Session::run(session_); }
  Task<void> shutdown() override { return Session::shutdown(session_); }

 private:
  static Task<absl::StatusOr<std::shared_ptr<Stream>>> acceptNext(Session::Self session) {
    auto state = co_await Session::accept(session);
    if (!state.ok()) co_return state.status();
    co_return std::make_shared<UserStream>(session, *state);
  }

  const Session::Self session_;
};

}  // namespace

std::unique_ptr<StreamConnection> makeConnection(std::unique_ptr<ByteConnection> bytes,
                                                 const Limits& limits) {
  return std::make_unique<Connection>(std::make_shared<Session>(std::move(bytes), limits));
}

}  // namespace berth::streaming::spdy
