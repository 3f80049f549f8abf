// Header blocks (2.6.10): names and values, compressed with zlib over all of a session's frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>
#include <zlib.h>

#include <absl/status/statusor.h>

#include "streaming/spdy/frames.hpp"

namespace berth::streaming::spdy {

// Names in lower case. Several values of one name are separated by a NUL, as on the wire.
using Headers = std::map<std::string, std::string>;

// INVALID_ARGUMENT when the block is cut short, has bytes left over or breaks a rule of 2.6.10.
// That concerns one stream alone: the compression goes on.
absl::StatusOr<Headers> parseHeaderBlock(Bytes block, size_t maxHeaders);

void appendHeaderBlock(std::vector<uint8_t>& out, const Headers& headers);

// One direction's decompression. Every block of the session has to pass through it, in order, even
// when nobody wants its headers; after an error the session cannot go on.
class HeaderInflater {
 public:
  HeaderInflater();
  ~HeaderInflater();
  HeaderInflater(const HeaderInflater&) = delete;
  HeaderInflater& operator=(const HeaderInflater&) = delete;

  // The block's plain bytes. INVALID_ARGUMENT when it is damaged, RESOURCE_EXHAUSTED when it is
  // longer than `maxBytes`: no more than those are ever held.
  absl::StatusOr<std::vector<uint8_t>> inflate(Bytes compressed, size_t maxBytes);

 private:
  z_stream stream_{};
  bool ready_ = false;
};

// The other direction.
class HeaderDeflater {
 public:
  HeaderDeflater();
  ~HeaderDeflater();
  HeaderDeflater(const HeaderDeflater&) = delete;
  HeaderDeflater& operator=(const HeaderDeflater&) = delete;

  // Frames must be sent in the order of the calls. INTERNAL when memory is short.
  absl::StatusOr<std::vector<uint8_t>> deflate(Bytes block);

 private:
  z_stream stream_{};
  bool ready_ = false;
};

}  // namespace berth::streaming::spdy
