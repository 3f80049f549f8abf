// Layers' bytes as they were before compression: gzip (ISA-L), zstd, or plain, found out from the
// first bytes, because media types are not always right.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <absl/status/statusor.h>

#include "images/slots.hpp"

namespace berth::images {

// Gives the next piece of input, empty at the end, lent until the next call.
using Pieces = std::function<absl::StatusOr<std::string_view>()>;
// Waits for one of the slots, by the name of the registry that sends the bytes.
using SlotTaker = std::function<absl::StatusOr<Slots::Slot>(Slots&)>;

// Turns compressed pieces into plain ones. Not thread-safe. It needs little memory, but for zstd
// frames with a window above 8 MiB, of which RFC 8878 (3.1.1.1.2) lets decoders choose: up to 128
// MiB they are read, for each registry by one decompressor at a time, and by four in all: a
// registry that sends no more of its layer holds up its own images.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // The next plain piece, empty at the end, lent until the next call. INVALID_ARGUMENT for input
  // that is damaged, ends early or needs a larger window.
  virtual absl::StatusOr<std::string_view> next() = 0;

  // `wait` is for a large window's turn, of which its failure is that of next(); empty: it is
  // waited for without an end.
  static std::unique_ptr<Decompressor> create(Pieces input, SlotTaker wait = {});
};

}  // namespace berth::images
