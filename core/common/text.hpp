// Small operations on text for which Abseil, as Debian builds it, does not take std::string_view.
// None of them allocates more than its result; any thread.
#pragma once

#include <algorithm>
#include <charconv>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace berth::common {

// The parts between separators, empty ones too: at least one. They point into `text`.
inline std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// Without blanks and line ends around it.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// The whole text as a number: no blanks, no "+", nothing behind it, in the range of its type.
template <std::integral Number>
std::optional<Number> parseNumber(std::string_view text, int base = 10) {
  Number number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

// ASCII alone, whatever the locale.
inline char upperCase(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

inline std::string upperCase(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = upperCase(c);
  return result;
}

inline bool isAlphanumeric(char c) {
  return (c >= '0' && c <= '9') || (upperCase(c) >= 'A' && upperCase(c) <= 'Z');
}

inline bool equalIgnoringCase(std::string_view left, std::string_view right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](char a, char b) { return upperCase(a) == upperCase(b); });
}

// Takes the prefix off `text` when it is there.
inline bool consumePrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace berth::common
