// Layers' bytes as they were before compression: gzip (ISA-L), zstd, or plain, found out from the
// first bytes, because media types are not always right.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include <absl/status/statusor.h>

namespace berth::images {

// Gives the next piece of input, empty at the end, lent until the next call.
using Pieces = std::function<absl::StatusOr<std::string_view>()>;

// Turns compressed pieces into plain ones. Not thread-safe.
class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // The next plain piece, empty at the end, lent until the next call. INVALID_ARGUMENT for input
  // that is damaged or ends early.
  virtual absl::StatusOr<std::string_view> next() = 0;

  static std::unique_ptr<Decompressor> create(Pieces input);
};

}  // namespace berth::images
