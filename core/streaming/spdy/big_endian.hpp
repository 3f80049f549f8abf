// Integers as the wire has them: big-endian, unaligned.
#pragma once

#include <cstdint>
#include <vector>

namespace berth::streaming::spdy {

inline uint16_t get16(const uint8_t* from) {
  return static_cast<uint16_t>((from[0] << 8) | from[1]);
}
inline uint32_t get24(const uint8_t* from) {
  return (uint32_t{from[0]} << 16) | (uint32_t{from[1]} << 8) | from[2];
}
inline uint32_t get32(const uint8_t* from) {
  return (uint32_t{from[0]} << 24) | get24(from + 1);
}

inline void put32(uint8_t* to, uint32_t value) {
  to[0] = static_cast<uint8_t>(value >> 24);
  to[1] = static_cast<uint8_t>(value >> 16);
  to[2] = static_cast<uint8_t>(value >> 8);
  to[3] = static_cast<uint8_t>(value);
}
inline void append32(std::vector<uint8_t>& out, uint32_t value) {
  uint8_t bytes[4];
  put32(bytes, value);
  out.insert(out.end(), bytes, bytes + sizeof bytes);
}

}  // namespace berth::streaming::spdy
