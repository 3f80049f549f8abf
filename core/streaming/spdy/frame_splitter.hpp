// Cuts a connection's bytes into frames. It does no I/O and its memory is one buffer: control
// frames come whole, data frames in pieces as they arrive, frames of unknown types not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>
#include <vector>

#include <absl/status/statusor.h>

#include "streaming/spdy/frames.hpp"

namespace berth::streaming::spdy {

class FrameSplitter {
 public:
  // More bytes are needed.
  struct Incomplete {};
  struct Control {
    FrameHeader header;
    Bytes payload;
  };
  // A part of a data frame, perhaps empty.
  struct Data {
    uint32_t streamId = 0;
    Bytes bytes;
    bool last = false;  // the frame ends behind these bytes
    bool fin = false;   // the stream ends with that frame
  };
  using Item = std::variant<Incomplete, Control, Data>;

  // `maxControl`: the longest payload of a control frame that is taken, at most `buffer` bytes less
  // kHeaderSize.
  FrameSplitter(size_t buffer, uint32_t maxControl) : size_(buffer), maxControl_(maxControl) {}

  // Where the next bytes go, never empty after next() has answered Incomplete; then how many came.
  // Both end the loan of what next() gave.
  std::span<uint8_t> space();
  void filled(size_t size);

  // What is at the front. A control frame is gone with it; a data piece stays until taken() of it.
  // RESOURCE_EXHAUSTED for a control frame that is too long.
  absl::StatusOr<Item> next();
  // `size` bytes of the piece that next() gave are dealt with, and with the frame's last bytes the
  // frame. An empty last piece is taken with 0.
  void taken(size_t size);

  // No frame has begun that is not complete.
  bool betweenFrames() const { return !inData_ && skip_ == 0 && begin_ == end_; }

 private:
  size_t available() const { return end_ - begin_; }
  Item dataPiece() const;

  size_t size_;
  uint32_t maxControl_;
  std::vector<uint8_t> buffer_;  // allocated with the first read
  size_t begin_ = 0;
  size_t end_ = 0;
  bool inData_ = false;
  FrameHeader data_;   // the data frame that has begun
  uint32_t left_ = 0;  // of its payload
  uint32_t skip_ = 0;  // of an unknown frame's payload
};

}  // namespace berth::streaming::spdy
