// Bytes between a writer and a reader, in blocks that come and go with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace berth::streaming::spdy {

// Holds at most one block more than its bytes need. Without bytes it has no memory.
class ByteQueue {
 public:
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  void append(std::span<const uint8_t> bytes);
  // Moves as many as there are and fit; their number.
  size_t take(std::span<uint8_t> into);
  void clear();

 private:
  static constexpr size_t kBlock = 16u << 10;

  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  size_t front_ = 0;  // of the first block, taken already
  size_t size_ = 0;
};

}  // namespace berth::streaming::spdy
