#include "text.hpp"

#include <algorithm>

namespace berth::registry {
namespace {

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool isContinuation(unsigned char c) {
  return (c & 0xC0u) == 0x80u;
}

// The length of the UTF-8 sequence at the start of `text`, 0 when there is none that is allowed in
// a message. C1 controls (U+0080 to U+009F) are not: terminals obey them.
size_t sequenceLength(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = at(0);
  if (first < 0x80) return first >= 0x20 && first != 0x7F ? 1 : 0;
  const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if (!isContinuation(at(i))) return 0;
  const bool overlong = (first == 0xE0 && at(1) < 0xA0) || (first == 0xF0 && at(1) < 0x90);
  const bool surrogate = first == 0xED && at(1) >= 0xA0;
  const bool beyond = first == 0xF4 && at(1) >= 0x90;
  const bool control = first == 0xC2 && at(1) < 0xA0;
  return overlong || surrogate || beyond || control ? 0 : length;
}

}  // namespace

std::string lowerAscii(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(), lower);
  return result;
}

bool equalIgnoringCase(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string sanitised(std::string_view text, size_t limit) {
  std::string result;
  while (!text.empty()) {
    const size_t length = sequenceLength(text);
    if (result.size() + std::max<size_t>(length, 1) > limit) return result + "…";
    if (length > 0 && text[0] != ' ') {
      result.append(text.substr(0, length));
    } else if (!result.empty() && result.back() != ' ') {
      result.push_back(' ');
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  while (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

}  // namespace berth::registry
