#include "streaming/spdy/frame_splitter.hpp"

#include <algorithm>
#include <cstring>

#include "berth/support/status.hpp"

namespace berth::streaming::spdy {

using support::strCat;

std::span<uint8_t> FrameSplitter::space() {
  if (buffer_.empty()) buffer_.resize(size_);
  if (begin_ > 0) {  // the beginning of a frame, or nothing
    std::memmove(buffer_.data(), buffer_.data() + begin_, available());
    end_ -= begin_;
    begin_ = 0;
  }
  return std::span(buffer_).subspan(end_);
}

void FrameSplitter::filled(size_t size) {
  end_ += size;
}

absl::StatusOr<FrameSplitter::Item> FrameSplitter::next() {
  for (;;) {
    if (skip_ > 0) {
      const size_t skipped = std::min<size_t>(skip_, available());
      begin_ += skipped;
      skip_ -= static_cast<uint32_t>(skipped);
      if (skip_ > 0) return Incomplete{};
    }
    if (inData_) return dataPiece();
    if (available() < kHeaderSize) return Incomplete{};
    const FrameHeader header =
        parseFrameHeader(std::span<const uint8_t, kHeaderSize>(&buffer_[begin_], kHeaderSize));
    if (!header.control) {
      begin_ += kHeaderSize;
      inData_ = true;
      data_ = header;
      left_ = header.length;
      continue;
    }
    if (!isKnown(header.type)) {
      begin_ += kHeaderSize;
      skip_ = header.length;
      continue;
    }
    if (header.length > maxControl_) {
      return absl::ResourceExhaustedError(strCat("a SPDY ", name(header.type), " frame has ",
                                                 header.length, " bytes, at most ", maxControl_,
                                                 " are taken"));
    }
    if (available() < kHeaderSize + header.length) return Incomplete{};
    const Bytes payload = std::span(buffer_).subspan(begin_ + kHeaderSize, header.length);
    begin_ += kHeaderSize + header.length;
    return Control{.header = header, .payload = payload};
  }
}

FrameSplitter::Item FrameSplitter::dataPiece() const {
  const size_t size = std::min<size_t>(left_, available());
  if (size == 0 && left_ > 0) return Incomplete{};
  return Data{.streamId = data_.streamId,
              .bytes = std::span(buffer_).subspan(begin_, size),
              .last = size == left_,
              .fin = data_.fin()};
}

void FrameSplitter::taken(size_t size) {
  begin_ += size;
  left_ -= static_cast<uint32_t>(size);
  if (left_ == 0) inData_ = false;
}

}  // namespace berth::streaming::spdy
