#include "streaming/spdy/byte_queue.hpp"

#include <algorithm>
#include <cstring>

namespace berth::streaming::spdy {

void ByteQueue::append(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const size_t end = front_ + size_;
    const size_t block = end / kBlock;
    const size_t offset = end % kBlock;
    if (block == blocks_.size()) {
      blocks_.push_back(std::make_unique_for_overwrite<uint8_t[]>(kBlock));
    }
    const size_t part = std::min(kBlock - offset, bytes.size());
    std::memcpy(blocks_[block].get() + offset, bytes.data(), part);
    bytes = bytes.subspan(part);
    size_ += part;
  }
}

size_t ByteQueue::take(std::span<uint8_t> into) {
  const size_t wanted = std::min(into.size(), size_);
  size_t done = 0;
  size_t block = 0;
  while (done < wanted) {
    const size_t part = std::min(kBlock - front_, wanted - done);
    std::memcpy(into.data() + done, blocks_[block].get() + front_, part);
    done += part;
    front_ += part;
    if (front_ == kBlock) {
      front_ = 0;
      ++block;
    }
  }
  size_ -= wanted;
  if (size_ == 0) {
    clear();
  } else {
    blocks_.erase(blocks_.begin(), blocks_.begin() + static_cast<std::ptrdiff_t>(block));
  }
  return wanted;
}

void ByteQueue::clear() {
  blocks_.clear();
  blocks_.shrink_to_fit();
  front_ = 0;
  size_ = 0;
}

}  // namespace berth::streaming::spdy
