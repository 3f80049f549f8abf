// What comes from the client.
#include <algorithm>
#include <cstring>
#include <utility>
#include <variant>

#include "berth/support/status.hpp"
#include "streaming/spdy/session.hpp"

namespace berth::streaming::spdy {

namespace asio = boost::asio;
using support::annotate;
using support::strCat;

namespace {

// Answers that wait for a client that does not read. More are not provoked, because nothing more is
// read from it until they are gone.
constexpr size_t kMaxUnsentControl = 64u << 10;

}  // namespace

// OK at the orderly end.
Task<absl::Status> Session::receive() {
  const auto self = shared_from_this();
  for (;;) {
    const auto item = splitter_.next();
    if (!item.ok()) co_return item.status();
    if (std::holds_alternative<FrameSplitter::Incomplete>(*item)) {
      const absl::Status filled = co_await fillSplitter();
      if (absl::IsOutOfRange(filled)) co_return absl::OkStatus();
      if (!filled.ok()) co_return filled;
      continue;
    }
    greet();
    if (const auto* control = std::get_if<FrameSplitter::Control>(&*item)) {
      const absl::Status status = takeControl(*control);
      if (!status.ok()) co_return status;
    } else {
      const auto& piece = std::get<FrameSplitter::Data>(*item);
      if (piece.streamId == 0) {
        co_return absl::InvalidArgumentError(
            "the client sent data on SPDY stream 0, which is none");
      }
      const size_t taken = takeData(piece);
      const bool isStuck = taken < piece.bytes.size();
      splitter_.taken(taken);
      if (isStuck) co_await stall();
    }
    while (outbox_.controlBytes() > kMaxUnsentControl && transmitting_) {
      controlIsFull_ = true;
      co_await resume_.wait();
      controlIsFull_ = false;
    }
  }
}

// OUT_OF_RANGE at the orderly end.
Task<absl::Status> Session::fillSplitter() {
  const std::span<uint8_t> space = splitter_.space();
  const auto size = co_await bytes_->read(asio::buffer(space.data(), space.size()));
  if (!size.ok()) {
    broken_ =
        absl::UnavailableError(annotate(size.status(), "read from the SPDY client").message());
    co_return broken_;
  }
  if (*size > 0) {
    splitter_.filled(*size);
    co_return absl::OkStatus();
  }
  if (splitter_.betweenFrames()) co_return absl::OutOfRangeError("the client has closed");
  co_return absl::InvalidArgumentError("the SPDY connection ended within a frame");
}

// The first words, as soon as the client has spoken.
void Session::greet() {
  if (std::exchange(greeted_, true)) return;
  queue(Settings{.entries = {{.id = kSettingMaxStreams, .value = limits_.streams},
                             {.id = kSettingInitialWindow, .value = limits_.streamWindow}}});
  if (limits_.connectionWindow > kInitialWindow) {
    queue(WindowUpdate{.streamId = 0, .delta = limits_.connectionWindow - kInitialWindow});
  }
}

absl::Status Session::takeControl(const FrameSplitter::Control& control) {
  BERTH_ASSIGN_OR_RETURN(const ControlFrame frame,
                         parseControlFrame(control.header, control.payload));
  return std::visit([this](const auto& known) { return take(known); }, frame);
}

absl::StatusOr<std::vector<uint8_t>> Session::inflate(Bytes block) {
  return inflater_.inflate(block, limits_.headerBlock);
}

absl::Status Session::take(const SynStream& frame) {
  BERTH_ASSIGN_OR_RETURN(const std::vector<uint8_t> block, inflate(frame.block));
  const uint32_t id = frame.streamId;
  if (id % 2 == 0) {
    return absl::InvalidArgumentError(
        strCat("the client opened SPDY stream ", id, "; its streams must have odd numbers"));
  }
  if (id < lastStreamId_) {
    return absl::InvalidArgumentError(strCat("the client opened SPDY stream ", id, " after stream ",
                                             lastStreamId_, "; the numbers must rise"));
  }
  if (closing_) return absl::OkStatus();
  if (id == lastStreamId_) {
    const absl::Status why =
        absl::InvalidArgumentError(strCat("SPDY stream ", id, " opened twice"));
    if (const StreamRef stream = find(id)) {
      resetStream(stream, ResetCode::protocolError, why);
    } else {
      queue(RstStream{.streamId = id, .code = ResetCode::protocolError});
    }
    return absl::OkStatus();
  }
  lastStreamId_ = id;
  open(frame, block);
  return absl::OkStatus();
}

void Session::open(const SynStream& frame, Bytes block) {
  const auto refuse = [&](ResetCode code) {
    queue(RstStream{.streamId = frame.streamId, .code = code});
  };
  if (streams_.size() >= limits_.streams || clientSaidGoodbye_) {
    return refuse(ResetCode::refusedStream);
  }
  // A stream without a way back is of no use to anything that is served here.
  if (frame.unidirectional) return refuse(ResetCode::refusedStream);
  auto headers = parseHeaderBlock(block, limits_.headers);
  if (!headers.ok()) return refuse(ResetCode::protocolError);

  auto stream = std::make_shared<StreamState>(frame.streamId, *std::move(headers),
                                              limits_.streamWindow, initialSendWindow_, executor_);
  if (frame.fin) stream->inputEnd = absl::OkStatus();
  streams_.emplace(frame.streamId, stream);
  unaccepted_.push_back(std::move(stream));
  lastOpenedId_ = frame.streamId;
  acceptable_.notify();
}

absl::Status Session::take(const SynReply& frame) {
  return absl::InvalidArgumentError(
      strCat("the client answered SPDY stream ", frame.streamId, ", which nobody has opened"));
}

// Headers behind the first ones mean nothing here; they are read for the compression's sake.
absl::Status Session::take(const HeadersFrame& frame) {
  BERTH_RETURN_IF_ERROR(inflate(frame.block).status());
  if (!frame.fin) return absl::OkStatus();
  if (const StreamRef stream = find(frame.streamId)) inputClosed(stream);
  return absl::OkStatus();
}

absl::Status Session::take(const RstStream& frame) {
  if (const StreamRef stream = find(frame.streamId)) {
    finish(stream, absl::CancelledError(strCat("the client reset SPDY stream ", frame.streamId,
                                               " with code ", static_cast<uint32_t>(frame.code))));
  }
  return absl::OkStatus();
}

absl::Status Session::take(const Settings& frame) {
  const auto entry = std::ranges::find(frame.entries, kSettingInitialWindow, &Setting::id);
  if (entry == frame.entries.end()) return absl::OkStatus();
  return setInitialSendWindow(entry->value);
}

absl::Status Session::setInitialSendWindow(uint32_t size) {
  if (size > kMaxWindow) {
    return absl::InvalidArgumentError(strCat("the client's initial SPDY window of ", size,
                                             " bytes is larger than the protocol allows"));
  }
  outbox_.keepStreamWindows();
  const int64_t change = int64_t{size} - initialSendWindow_;
  initialSendWindow_ = size;
  std::vector<StreamRef> overflowing;
  for (const auto& [id, stream] : streams_) {
    if (!stream->out.window.grow(change)) {
      overflowing.push_back(stream);
    } else if (change > 0) {
      scheduleOutput(stream);
    }
  }
  for (const StreamRef& stream : overflowing) {
    resetStream(stream, ResetCode::flowControlError,
                absl::InvalidArgumentError("the client's window is too large"));
  }
  return absl::OkStatus();
}

absl::Status Session::take(const Ping& frame) {
  // Even numbers are the server's, which sends none.
  if (frame.id % 2 == 1) queue(frame);
  return absl::OkStatus();
}

absl::Status Session::take(const GoAway&) {
  clientSaidGoodbye_ = true;
  acceptable_.notify();
  return absl::OkStatus();
}

absl::Status Session::take(const WindowUpdate& frame) {
  if (frame.streamId == 0) {
    if (frame.delta == 0 || !outbox_.growSessionWindow(frame.delta)) {
      return absl::InvalidArgumentError(
          strCat("the client's SPDY session window cannot grow by ", frame.delta, " bytes"));
    }
    writable_.notify();
    return absl::OkStatus();
  }
  outbox_.keepStreamWindows();
  const StreamRef stream = find(frame.streamId);
  if (stream == nullptr) return absl::OkStatus();
  if (frame.delta == 0) {
    resetStream(stream, ResetCode::protocolError,
                absl::InvalidArgumentError("the client's window grew by nothing"));
  } else if (!stream->out.window.grow(frame.delta)) {
    resetStream(stream, ResetCode::flowControlError,
                absl::InvalidArgumentError("the client's window is too large"));
  } else {
    scheduleOutput(stream);
  }
  return absl::OkStatus();
}

// How many of the bytes are dealt with; fewer than all when there is no room for the rest.
size_t Session::takeData(const FrameSplitter::Data& piece) {
  size_t taken = piece.bytes.size();
  const StreamRef stream = find(piece.streamId);
  if (stream == nullptr) {
    discard(taken);
    refuseData(piece.streamId);
    return taken;
  }
  if (closing_ || stream->isAbandoned) {
    discard(taken);
  } else if (stream->inputEnd.has_value()) {
    discard(taken);
    resetStream(stream, ResetCode::streamAlreadyClosed,
                absl::InvalidArgumentError(strCat("the client sent data on SPDY stream ",
                                                  piece.streamId, " after it had closed it")));
    return taken;
  } else {
    taken = deliver(*stream, piece.bytes);
  }
  if (piece.last && piece.fin && taken == piece.bytes.size()) inputClosed(stream);
  return taken;
}

// First into the buffer of a read that waits, then into the queue as far as the windows reach.
size_t Session::deliver(StreamState& stream, Bytes bytes) {
  size_t done = 0;
  if (stream.reader.size() > 0 && !bytes.empty()) {
    done = std::min(stream.reader.size(), bytes.size());
    std::memcpy(stream.reader.data(), bytes.data(), done);
    stream.delivered = done;
    stream.reader = {};
    stream.window.received(done);
    window_.received(done);
    released(stream, done);
    stream.readable.notify();
  }
  const size_t room = std::min(stream.window.room(), window_.room());
  const Bytes queued = bytes.subspan(done, std::min(room, bytes.size() - done));
  stream.received.append(queued);
  stream.window.received(queued.size());
  window_.received(queued.size());
  return done + queued.size();
}

// Bytes for nobody count all the same, or the client's view of the session's window and this one
// would drift apart.
void Session::discard(size_t bytes) {
  window_.received(bytes);
  if (const uint32_t delta = window_.released(bytes); delta > 0) {
    queue(WindowUpdate{.streamId = 0, .delta = delta});
  }
}

// One answer for a row of frames; the specification lets them be joined (2.4.2).
void Session::refuseData(uint32_t streamId) {
  if (closing_ || streamId == lastRefusedData_) return;
  lastRefusedData_ = streamId;
  const bool wasOpen = streamId % 2 == 1 && streamId <= lastStreamId_;
  queue(RstStream{.streamId = streamId,
                  .code = wasOpen ? ResetCode::protocolError : ResetCode::invalidStream});
}

void Session::inputClosed(const StreamRef& stream) {
  if (stream->inputEnd.has_value()) return;
  stream->inputEnd = absl::OkStatus();
  stream->readable.notify();
  if (stream->out.end == Outgoing::End::sent) forget(stream);
}

Task<void> Session::stall() {
  stalled_ = true;
  armProbe();
  co_await resume_.wait();
  stalled_ = false;
  probe_.cancel();
}

void Session::armProbe() {
  probe_.expires_after(limits_.probe);
  probe_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    const auto self = weak.lock();
    if (error || self == nullptr || !self->stalled_) return;
    if (self->outbox_.controlBytes() == 0 && !self->closing_) {
      self->queue(Settings{
          .entries = {{.id = kSettingInitialWindow, .value = self->limits_.streamWindow}}});
    }
    self->armProbe();
  });
}

}  // namespace berth::streaming::spdy
