#include "streaming/spdy/outbox.hpp"

#include <algorithm>

namespace berth::streaming::spdy {

void Outbox::schedule(const std::shared_ptr<Outgoing>& stream) {
  if (stream->scheduled) return;
  stream->scheduled = true;
  ready_.push_back(stream);
}

void Outbox::drop(Outgoing& stream) {
  if (stream.scheduled) {
    const auto isIt = [&stream](const auto& queued) { return queued.get() == &stream; };
    std::erase_if(ready_, isIt);
    std::erase_if(blocked_, isIt);
    stream.scheduled = false;
  }
  if (stream.unsent.size() > 0) {
    stream.unsent = {};
    stream.dropped = true;
  }
  if (stream.end == Outgoing::End::queued) stream.end = Outgoing::End::open;
  stream.changed.notify();
}

bool Outbox::growSessionWindow(uint32_t delta) {
  sessionWindowKept_ = true;
  if (!session_.grow(delta)) return false;
  ready_.insert(ready_.end(), blocked_.begin(), blocked_.end());
  blocked_.clear();
  return true;
}

size_t Outbox::mayBeSent(const Outgoing& stream) const {
  size_t size = std::min(stream.unsent.size(), kFrame);
  if (streamWindowsKept_) size = std::min(size, stream.window.left());
  if (sessionWindowKept_) size = std::min(size, session_.left());
  return size;
}

bool Outbox::fill(Batch& batch) {
  batch.parts.clear();
  batch.control.clear();
  batch.control.swap(control_);
  if (!batch.control.empty()) batch.parts.push_back(boost::asio::buffer(batch.control));
  size_t bytes = 0;
  while (!ready_.empty() && batch.frames.size() < kBatchFrames && bytes < kBatchBytes) {
    const std::shared_ptr<Outgoing> stream = std::move(ready_.front());
    ready_.pop_front();
    const size_t size = mayBeSent(*stream);
    const bool ends = stream->end == Outgoing::End::queued && size == stream->unsent.size();
    if (size == 0 && !ends) {
      // Only the session's window lets streams wait in a queue, so that they keep their turns.
      const bool sessionIsFull = sessionWindowKept_ && session_.left() == 0;
      stream->scheduled = stream->unsent.size() > 0 && sessionIsFull;
      if (stream->scheduled) blocked_.push_back(stream);
      continue;
    }
    addData(batch, stream, size, ends ? Fin::yes : Fin::no);
    bytes += size;
    stream->scheduled = stream->unsent.size() > 0;
    if (stream->scheduled) ready_.push_back(stream);
  }
  return !batch.parts.empty();
}

void Outbox::addData(Batch& batch, const std::shared_ptr<Outgoing>& stream, size_t size, Fin fin) {
  auto& header = batch.headers[batch.frames.size()];
  writeDataHeader(header, stream->streamId, static_cast<uint32_t>(size), fin);
  batch.parts.push_back(boost::asio::buffer(header));
  if (size > 0) batch.parts.push_back(boost::asio::buffer(stream->unsent, size));
  batch.frames.push_back({.stream = stream, .fin = fin});
  stream->unsent += size;
  stream->window.sent(size);
  session_.sent(size);
  ++stream->inFlight;
  if (fin == Fin::yes) stream->end = Outgoing::End::sending;
}

void Outbox::settle(Batch& batch, Fate fate) {
  for (const Batch::Frame& frame : batch.frames) {
    Outgoing& stream = *frame.stream;
    --stream.inFlight;
    if (fate == Fate::lost) stream.dropped = true;
    if (frame.fin == Fin::yes) stream.end = Outgoing::End::sent;
    if (stream.isIdle()) stream.changed.notify();
  }
  batch.frames.clear();
}

}  // namespace berth::streaming::spdy
