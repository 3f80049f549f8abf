// The streams of a session, one by one.
#include <algorithm>
#include <utility>

#include "berth/support/status.hpp"
#include "streaming/spdy/session.hpp"

namespace berth::streaming::spdy {

namespace asio = boost::asio;

Session::StreamRef Session::find(uint32_t streamId) const {
  const auto place = streams_.find(streamId);
  return place == streams_.end() ? nullptr : place->second;
}

Task<absl::StatusOr<size_t>> Session::read(Self self, StreamRef stream, asio::mutable_buffer into) {
  if (stream->isReading)
    co_return absl::FailedPreconditionError("the stream is being read already");
  if (into.size() == 0) co_return absl::InvalidArgumentError("a read needs a buffer");
  for (;;) {
    if (!stream->received.empty()) {
      const size_t size = stream->received.take({static_cast<uint8_t*>(into.data()), into.size()});
      self->released(*stream, size);
      co_return size;
    }
    if (stream->inputEnd.has_value()) {
      if (stream->inputEnd->ok()) co_return size_t{0};
      co_return *stream->inputEnd;
    }
    stream->isReading = true;
    stream->reader = into;
    if (self->stalled_) self->resume_.notify();
    const bool isAwake = co_await stream->readable.wait();
    stream->isReading = false;
    stream->reader = {};
    if (stream->delivered > 0) co_return std::exchange(stream->delivered, 0);
    if (!isAwake) co_return absl::CancelledError("the read was cancelled");
  }
}

Task<absl::Status> Session::write(Self self, StreamRef stream, asio::const_buffer bytes) {
  Outgoing& out = stream->out;
  if (!stream->outputEnd.ok()) co_return stream->outputEnd;
  if (!out.isIdle()) co_return absl::FailedPreconditionError("the stream is being written already");
  if (bytes.size() == 0) co_return absl::OkStatus();

  out.unsent = bytes;
  out.dropped = false;
  self->scheduleOutput(stream);
  // Whatever happens, the buffer stays until the connection is done with what it has of it.
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  bool isCancelled = false;
  while (!out.isIdle()) {
    if (isCancelled) {
      co_await out.changed.waitThroughCancellation();
    } else if (!co_await out.changed.wait()) {
      isCancelled = true;
      self->outbox_.drop(out);
    }
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (!out.dropped) co_return absl::OkStatus();
  if (isCancelled) co_return absl::CancelledError("the write was cancelled");
  co_return stream->outputEnd;
}

Task<absl::Status> Session::closeWrite(Self self, StreamRef stream) {
  if (!stream->isOpen || stream->out.end != Outgoing::End::open) co_return absl::OkStatus();
  stream->out.end = Outgoing::End::queued;
  if (stream->outputEnd.ok()) {
    stream->outputEnd = absl::FailedPreconditionError("the stream has been closed for writing");
  }
  self->scheduleOutput(stream);
  co_return absl::OkStatus();
}

void Session::reset(const StreamRef& stream) {
  if (!stream->isOpen) return;
  resetStream(stream, ResetCode::cancel, absl::CancelledError("the stream was reset"));
}

void Session::letGo(const StreamRef& stream) {
  stream->isAbandoned = true;
  const size_t unread = stream->received.size();
  stream->received.clear();
  released(*stream, unread);
  const bool isDone = stream->out.end != Outgoing::End::open &&
                      (stream->inputEnd.has_value() || stream->out.end != Outgoing::End::sent);
  // What still has to be sent, to the FIN, is sent; the rest is up to finSent().
  if (!isDone) reset(stream);
}

// Bytes have left the stream's queue.
void Session::released(StreamState& stream, size_t bytes) {
  const uint32_t ofStream = stream.window.released(bytes);
  if (ofStream > 0 && stream.isOpen && !stream.inputEnd.has_value()) {
    queue(WindowUpdate{.streamId = stream.id(), .delta = ofStream});
  }
  const uint32_t ofSession = window_.released(bytes);
  if (ofSession > 0) queue(WindowUpdate{.streamId = 0, .delta = ofSession});
  if (stalled_) resume_.notify();
}

void Session::resetStream(const StreamRef& stream, ResetCode code, const absl::Status& why) {
  queue(RstStream{.streamId = stream->id(), .code = code});
  finish(stream, why);
}

// Both directions end at once.
void Session::finish(const StreamRef& stream, const absl::Status& why) {
  const size_t unread = stream->received.size();
  stream->received.clear();
  stream->inputEnd = why;
  stream->outputEnd = why;
  outbox_.drop(stream->out);
  forget(stream);
  released(*stream, unread);
  stream->readable.notify();
}

void Session::forget(const StreamRef& stream) {
  stream->isOpen = false;
  std::erase(unaccepted_, stream);
  streams_.erase(stream->id());
  if (stalled_) resume_.notify();
}

}  // namespace berth::streaming::spdy
