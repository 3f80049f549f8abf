// The archive as blocks of 512 bytes and runs of data, on top of pieces of any size.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "berth/untar/tar_reader.hpp"

namespace berth::untar {

inline constexpr size_t kBlockBytes = 512;

// What is missing to a full block after `size` bytes.
inline uint64_t paddingAfter(uint64_t size) {
  return (kBlockBytes - size % kBlockBytes) % kBlockBytes;
}

class BlockStream {
 public:
  BlockStream(PieceSource source, uint64_t limit) : source_(std::move(source)), limit_(limit) {}

  // A view of the next block, lent until the stream is used again; empty at the end of the source.
  absl::StatusOr<std::string_view> block();

  // A view of the next bytes, at least one and at most `most` (not 0).
  absl::StatusOr<std::string_view> take(uint64_t most);

  // The next `size` bytes and the padding behind them.
  absl::StatusOr<std::string> text(uint64_t size);

  absl::Status skip(uint64_t size);
  // Tolerates that the source ends within the padding, as other readers do.
  absl::Status skipPadding(uint64_t size);
  // Reads to the end of the source.
  absl::Status drain();

  uint64_t offset() const { return offset_; }

 private:
  absl::Status fill();
  void consume(size_t size);
  absl::Status truncated() const;

  PieceSource source_;
  uint64_t limit_;
  uint64_t offset_ = 0;
  std::string_view piece_;
  bool ended_ = false;
  std::array<char, kBlockBytes> assembled_ = {};
};

}  // namespace berth::untar
