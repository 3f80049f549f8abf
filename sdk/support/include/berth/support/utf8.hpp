// Text that others wrote, made fit for records, messages and logs: well-formed UTF-8 (The Unicode
// Standard, table 3-7), and no longer than wanted. Header-only and without exceptions, so that the
// smallest of programs can use it too.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace berth::support {

// The bytes of the character that `text` starts with; 0 when it starts with none.
inline size_t utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((at(i) & 0xC0u) != 0x80u) return 0;
  const bool overlong = (first == 0xE0 && at(1) < 0xA0) || (first == 0xF0 && at(1) < 0x90);
  const bool surrogate = first == 0xED && at(1) >= 0xA0;
  const bool beyond = first == 0xF4 && at(1) >= 0x90;
  return overlong || surrogate || beyond ? 0 : length;
}

inline bool isUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// The text with U+FFFD in place of each byte that belongs to no character.
inline std::string validUtf8(std::string_view text) {
  if (isUtf8(text)) return std::string(text);
  std::string result;
  while (!text.empty()) {
    const size_t length = utf8Length(text);
    result.append(length > 0 ? text.substr(0, length) : std::string_view("\xEF\xBF\xBD"));
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result;
}

// As much of the beginning as fits into `limit` bytes without a character that is cut in two.
inline std::string_view utf8Prefix(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  constexpr size_t kLongest = 4;
  for (size_t back = 0; back < kLongest && back <= limit; ++back)
    if ((static_cast<unsigned char>(text[limit - back]) & 0xC0u) != 0x80u)
      return text.substr(0, limit - back);
  return text.substr(0, limit);  // no text in UTF-8
}

// The same of the end.
inline std::string_view utf8Suffix(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  constexpr size_t kLongest = 4;
  const std::string_view end = text.substr(text.size() - limit);
  size_t skipped = 0;
  while (skipped < std::min(limit, kLongest) &&
         (static_cast<unsigned char>(end[skipped]) & 0xC0u) == 0x80u)
    ++skipped;
  return skipped < kLongest ? end.substr(skipped) : end;  // else no text in UTF-8
}

// At most `limit` bytes of one line: control characters, C1 ones among them, which terminals obey,
// and what is not UTF-8 become one space, and "…" shows a cut. So that a text can neither forge
// lines of a log nor flood it.
inline std::string oneLine(std::string_view text, size_t limit) {
  const auto isControl = [](std::string_view character) {
    const auto first = static_cast<unsigned char>(character[0]);
    return character.size() == 1 ? first < 0x20 || first == 0x7F
                                 : first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0;
  };
  std::string result;
  while (!text.empty()) {
    const size_t length = utf8Length(text);
    const size_t step = std::max<size_t>(length, 1);
    const std::string_view character = text.substr(0, step);
    if (result.size() + step > limit) return result + "…";
    if (length > 0 && character != " " && !isControl(character)) {
      result.append(character);
    } else if (!result.empty() && result.back() != ' ') {
      result.push_back(' ');
    }
    text.remove_prefix(step);
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

}  // namespace berth::support
