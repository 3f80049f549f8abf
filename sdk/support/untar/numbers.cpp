#include "numbers.hpp"

#include <limits>

namespace berth::untar {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

std::string_view trimmed(std::string_view field) {
  constexpr std::string_view kBlank(" \0", 2);
  const size_t first = field.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return field.substr(first, field.find_last_not_of(kBlank) - first + 1);
}

std::optional<int64_t> octal(std::string_view digits) {
  int64_t value = 0;
  for (const char digit : digits) {
    if (digit < '0' || digit > '7') return std::nullopt;
    if (value > (std::numeric_limits<int64_t>::max() >> 3)) return std::nullopt;
    value = value * 8 + (digit - '0');
  }
  return value;
}

// Two's complement, most significant byte first; the top bit marks the form and is no part of it.
std::optional<int64_t> base256(std::string_view field) {
  const bool negative = (static_cast<unsigned char>(field[0]) & 0x40) != 0;
  const unsigned char flip = negative ? 0xff : 0;
  uint64_t value = 0;
  for (size_t i = 0; i < field.size(); ++i) {
    unsigned char byte = static_cast<unsigned char>(static_cast<unsigned char>(field[i]) ^ flip);
    if (i == 0) byte &= 0x7f;
    if ((value >> 56) != 0) return std::nullopt;
    value = value << 8 | byte;
  }
  if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return std::nullopt;
  return negative ? -static_cast<int64_t>(value) - 1 : static_cast<int64_t>(value);
}

}  // namespace

std::optional<int64_t> fieldNumber(std::string_view field) {
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80) != 0) return base256(field);
  return octal(trimmed(field));
}

std::optional<uint64_t> decimalNumber(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr uint64_t kMaximum = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  uint64_t value = 0;
  for (const char character : text) {
    if (character < '0' || character > '9') return std::nullopt;
    const uint64_t digit = static_cast<uint64_t>(character - '0');
    if (value > (kMaximum - digit) / 10) return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<timespec> decimalTime(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::optional<uint64_t> seconds = decimalNumber(text.substr(0, point));
  if (!seconds) return std::nullopt;
  int64_t nanoseconds = 0;
  if (point != std::string_view::npos) {
    int64_t weight = kNanosecondsPerSecond / 10;
    for (const char character : text.substr(point + 1)) {
      if (character < '0' || character > '9') return std::nullopt;
      nanoseconds += weight * (character - '0');
      weight /= 10;
    }
  }
  int64_t whole = static_cast<int64_t>(*seconds);
  if (negative) {
    whole = -whole;
    if (nanoseconds > 0) {
      whole -= 1;
      nanoseconds = kNanosecondsPerSecond - nanoseconds;
    }
  }
  return timespec{.tv_sec = whole, .tv_nsec = nanoseconds};
}

}  // namespace berth::untar
