// CRC-32C (Castagnoli; RFC 3720, appendix B.4) of content of which parts may be holes.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::overlay {

// Against disks, not against people: what a layer is was checked by its digests when it came.
class Crc32c {
 public:
  void update(std::string_view bytes);
  // As update() with so many zeros, in no time: how large a hole is, an image says.
  void skip(uint64_t zeros);
  uint32_t value() const { return ~state_; }

 private:
  uint32_t state_ = ~uint32_t{0};
};

uint32_t crc32c(std::string_view bytes);

}  // namespace berth::overlay
