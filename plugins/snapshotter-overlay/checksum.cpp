#include "checksum.hpp"

#include <algorithm>

#include <isa-l/crc.h>

namespace berth::overlay {

namespace {

// Polynomials over GF(2) modulo the CRC's own, the highest bit being the coefficient of x^0.
constexpr uint32_t kPolynomial = 0x82f63b78;
constexpr uint32_t kOne = uint32_t{1} << 31;
constexpr uint32_t kByte = kOne >> 8;  // x^8

uint32_t multiply(uint32_t one, uint32_t other) {
  uint32_t product = 0;
  for (uint32_t bit = kOne; bit != 0; bit >>= 1) {
    if ((one & bit) != 0) product ^= other;
    other = (other & 1) != 0 ? (other >> 1) ^ kPolynomial : other >> 1;
  }
  return product;
}

}  // namespace

void Crc32c::update(std::string_view bytes) {
  constexpr size_t kMost = size_t{1} << 30;  // the library counts in int
  while (!bytes.empty()) {
    const std::string_view part = bytes.substr(0, std::min(bytes.size(), kMost));
    // It does not write to what it is given.
    auto* data = reinterpret_cast<unsigned char*>(const_cast<char*>(part.data()));
    state_ = ::crc32_iscsi(data, static_cast<int>(part.size()), state_);
    bytes.remove_prefix(part.size());
  }
}

void Crc32c::skip(uint64_t zeros) {
  uint32_t power = kByte;
  for (; zeros != 0; zeros >>= 1) {
    if ((zeros & 1) != 0) state_ = multiply(power, state_);
    power = multiply(power, power);
  }
}

uint32_t crc32c(std::string_view bytes) {
  Crc32c sum;
  sum.update(bytes);
  return sum.value();
}

}  // namespace berth::overlay
