// What goes to the client.
#include <algorithm>
#include <utility>

#include "berth/support/status.hpp"
#include "streaming/spdy/session.hpp"

namespace berth::streaming::spdy {

using support::annotate;

// OK once everything is sent after closing has begun, GOAWAY last.
Task<absl::Status> Session::transmit() {
  const auto self = shared_from_this();
  Outbox::Batch batch;
  for (;;) {
    if (!outbox_.fill(batch)) {
      if (goodbyeQueued_) co_return absl::OkStatus();
      if (closing_ && isFlushed()) {
        queue(GoAway{.lastStreamId = lastOpenedId_, .code = goodbye_});
        goodbyeQueued_ = true;
      } else {
        co_await writable_.wait();
      }
      continue;
    }
    const absl::Status written = co_await bytes_->write(batch.parts);
    if (!written.ok()) {
      broken_ = absl::UnavailableError(annotate(written, "write to the SPDY client").message());
      beginClosing(broken_, GoAwayCode::ok);  // before writers look at their streams
    }
    settle(batch, written.ok() ? Outbox::Fate::sent : Outbox::Fate::lost);
    if (controlIsFull_) resume_.notify();
    if (!written.ok()) co_return broken_;
  }
}

bool Session::isFlushed() const {
  return std::ranges::none_of(streams_, [](const auto& entry) {
    const Outgoing& out = entry.second->out;
    return !out.isIdle() || out.end == Outgoing::End::queued;
  });
}

void Session::settle(Outbox::Batch& batch, Outbox::Fate fate) {
  std::vector<StreamRef> ended;
  for (const Outbox::Batch::Frame& frame : batch.frames) {
    if (frame.fin == Fin::no) continue;
    if (StreamRef stream = find(frame.stream->streamId)) ended.push_back(std::move(stream));
  }
  Outbox::settle(batch, fate);
  for (const StreamRef& stream : ended) finSent(stream);
}

void Session::finSent(const StreamRef& stream) {
  if (stream->inputEnd.has_value()) {
    forget(stream);
  } else if (stream->isAbandoned) {
    resetStream(stream, ResetCode::cancel, absl::CancelledError("the stream was dropped"));
  }
}

void Session::scheduleOutput(const StreamRef& stream) {
  outbox_.schedule(std::shared_ptr<Outgoing>(stream, &stream->out));
  writable_.notify();
}

}  // namespace berth::streaming::spdy
