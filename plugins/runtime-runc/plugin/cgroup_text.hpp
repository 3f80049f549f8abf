// The forms of text that the kernel's control files have.
#pragma once

#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <system_error>

namespace berth::runc {

// Cuts the text up to `separator` off the front of `rest`.
inline std::string_view cut(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view head = rest.substr(0, at);
  rest.remove_prefix(at == std::string_view::npos ? rest.size() : at + 1);
  return head;
}

// Digits at the beginning of the text; "max" is the largest number. False leaves `value` alone.
inline bool parseNumber(std::string_view text, uint64_t& value) {
  if (text.starts_with("max")) {
    value = UINT64_MAX;
    return true;
  }
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

struct FlatMember {
  std::string_view key;
  uint64_t* value;
};

// "key value" lines; members that do not occur stay as they are.
inline void parseFlat(std::string_view text, std::initializer_list<FlatMember> members) {
  while (!text.empty()) {
    std::string_view line = cut(text, '\n');
    const std::string_view key = cut(line, ' ');
    for (const FlatMember& member : members) {
      if (member.key == key) parseNumber(line, *member.value);
    }
  }
}

}  // namespace berth::runc
