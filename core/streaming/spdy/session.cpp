#include "streaming/spdy/session.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/co_spawn.hpp>

namespace berth::streaming::spdy {

namespace asio = boost::asio;

namespace {

constexpr size_t kReadBuffer = 64u << 10;

}  // namespace

Session::Session(std::unique_ptr<ByteConnection> bytes, const Limits& limits)
    : limits_(limits),
      bytes_(std::move(bytes)),
      executor_(bytes_->executor()),
      acceptable_(executor_),
      splitter_(std::max<size_t>(kReadBuffer, limits.controlFrame + kHeaderSize),
                limits.controlFrame),
      window_(limits.connectionWindow),
      resume_(executor_),
      probe_(executor_),
      writable_(executor_),
      changed_(executor_),
      finished_(executor_) {}

Task<absl::StatusOr<Session::StreamRef>> Session::accept(Self self) {
  for (;;) {
    if (!self->unaccepted_.empty()) {
      StreamRef stream = self->unaccepted_.front();
      self->unaccepted_.pop_front();
      std::vector<uint8_t> block;
      appendHeaderBlock(block, {});
      auto compressed = self->deflater_.deflate(block);
      if (!compressed.ok()) {
        self->letGo(stream);
        co_return compressed.status();
      }
      self->queue(SynReply{.streamId = stream->id(), .fin = false, .block = *compressed});
      co_return stream;
    }
    if (self->closing_ && !self->result_.ok()) co_return self->result_;
    if (self->closing_ || self->clientSaidGoodbye_) {
      co_return absl::OutOfRangeError("the client opens no more streams");
    }
    if (!co_await self->acceptable_.wait()) {
      co_return absl::CancelledError("waiting for a stream was cancelled");
    }
  }
}

Task<absl::Status> Session::run(Self self) {
  if (self->started_) co_return absl::FailedPreconditionError("the SPDY connection runs already");
  if (self->ended_) co_return self->result_;
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  self->startLoops();
  while (!self->closing_) {
    if (!co_await self->changed_.wait()) {
      self->beginClosing(absl::CancelledError("the SPDY connection was cancelled"), GoAwayCode::ok);
    }
  }
  co_await self->farewell();
  self->end(self->result_);
  co_await asio::this_coro::throw_if_cancelled(throws);
  co_return self->result_;
}

void Session::startLoops() {
  started_ = receiving_ = transmitting_ = true;
  const auto spawn = [this](Task<absl::Status> loop, bool& active, auto whenDone) {
    asio::co_spawn(executor_, std::move(loop),
                   [self = shared_from_this(), &active, whenDone](const std::exception_ptr& thrown,
                                                                  absl::Status status) {
                     if (thrown != nullptr) status = absl::InternalError("memory is exhausted");
                     active = false;
                     whenDone(*self, status);
                     self->resume_.notify();
                     self->changed_.notify();
                   });
  };
  spawn(receive(), receiving_, [](Session& session, const absl::Status& status) {
    const bool clientIsWrong = !status.ok() && session.broken_.ok();
    session.beginClosing(status, clientIsWrong ? GoAwayCode::protocolError : GoAwayCode::ok);
  });
  spawn(transmit(), transmitting_, [](Session& session, const absl::Status& status) {
    session.beginClosing(status, GoAwayCode::ok);
  });
}

void Session::beginClosing(const absl::Status& why, GoAwayCode code) {
  if (closing_) return;
  closing_ = true;
  result_ = why;
  goodbye_ = code;
  const absl::Status forStreams =
      why.ok() ? absl::UnavailableError("the connection of the stream has been closed") : why;
  for (const StreamRef& stream : unaccepted_) stream->isAbandoned = true;
  unaccepted_.clear();
  for (const auto& [id, stream] : streams_) {
    if (!stream->inputEnd.has_value()) stream->inputEnd = forStreams;
    if (stream->outputEnd.ok()) stream->outputEnd = forStreams;
    if (!why.ok()) outbox_.drop(stream->out);
    stream->readable.notify();
  }
  acceptable_.notify();
  writable_.notify();
  resume_.notify();
  changed_.notify();
}

// Sends what is queued and GOAWAY, gives the client time to read them and to leave, and closes. The
// connection is read until then, because the kernel answers unread bytes at the close with a reset,
// which can cost the client what it has not read yet.
Task<void> Session::farewell() {
  if (broken_.ok()) {
    co_await waitAtMost(limits_.flush, [this] { return !transmitting_; });
    for (const auto& [id, stream] : streams_) outbox_.drop(stream->out);
    writable_.notify();
    co_await waitAtMost(limits_.linger, [this] { return !transmitting_ && !receiving_; });
  }
  bytes_->close();
  while (transmitting_ || receiving_) co_await changed_.waitThroughCancellation();
}

Task<void> Session::waitAtMost(std::chrono::milliseconds limit, std::function<bool()> reached) {
  auto late = std::make_shared<bool>(false);
  asio::steady_timer timer(executor_, limit);
  timer.async_wait([self = shared_from_this(), late](const boost::system::error_code& error) {
    if (error) return;
    *late = true;
    self->changed_.notify();
  });
  while (!*late && !reached()) co_await changed_.waitThroughCancellation();
}

void Session::end(const absl::Status& why) {
  if (ended_) return;
  beginClosing(why, GoAwayCode::ok);
  ended_ = true;
  bytes_->close();
  for (const auto& [id, stream] : streams_) {
    stream->isOpen = false;
    outbox_.drop(stream->out);
  }
  streams_.clear();
  probe_.cancel();
  finished_.notify();
}

Task<void> Session::shutdown(Self self) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  self->beginClosing(absl::OkStatus(), GoAwayCode::ok);
  if (!self->started_) self->end(absl::OkStatus());
  while (!self->ended_) co_await self->finished_.waitThroughCancellation();
  self->finished_.notify();  // for whoever else waits
  co_await asio::this_coro::throw_if_cancelled(throws);
}

void Session::abandon() {
  if (ended_) return;
  beginClosing(absl::CancelledError("the SPDY connection was dropped"), GoAwayCode::ok);
  broken_ = result_;
  bytes_->close();
  if (!started_) end(result_);
}

}  // namespace berth::streaming::spdy
