// How berthd and berth-openpgp speak: the request on its standard input, the answer on its standard
// output. This stays as it is, since a daemon may find the program of a package that is newer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::signatures::frames {

// The first byte of a request; then come the number of keyrings and each keyring, and the message
// that is to be opened. A number is four bytes, the highest first; a text is its length and itself.
inline constexpr char kCheckKeyrings = 'k';
inline constexpr char kOpen = 'o';

// Exit codes. With kRefused the answer is the reason, otherwise it is what was asked for.
inline constexpr int kDone = 0;
inline constexpr int kRefused = 3;
inline constexpr int kFailed = 4;

inline constexpr size_t kMostRequestBytes = 32u << 20;
inline constexpr size_t kMostAnswerBytes = 1u << 20;

inline void putNumber(std::string& out, size_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(number >> shift & 0xff));
}

inline void putText(std::string& out, std::string_view text) {
  putNumber(out, text.size());
  out += text;
}

inline std::optional<size_t> takeNumber(std::string_view& rest) {
  if (rest.size() < 4) return std::nullopt;
  size_t number = 0;
  for (const char c : rest.substr(0, 4)) number = number << 8 | static_cast<unsigned char>(c);
  rest.remove_prefix(4);
  return number;
}

inline std::optional<std::string_view> takeText(std::string_view& rest) {
  const auto size = takeNumber(rest);
  if (!size || *size > rest.size()) return std::nullopt;
  const std::string_view text = rest.substr(0, *size);
  rest.remove_prefix(*size);
  return text;
}

}  // namespace berth::signatures::frames
