#include "engine/spec/text.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "common/text.hpp"

namespace berth::spec {
namespace {

// Bytes of the UTF-8 sequence at the start of `text` (RFC 3629); 0 when there is none.
size_t sequenceLength(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  // Overlong forms, surrogates, and what lies past U+10FFFF.
  const unsigned second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

}  // namespace

absl::Status checkText(std::string_view text, std::string_view what) {
  if (text.find('\0') != std::string_view::npos)
    return absl::InvalidArgumentError(support::strCat(what, " contains a zero byte"));
  for (std::string_view rest = text; !rest.empty();) {
    const size_t length = sequenceLength(rest);
    if (length == 0)
      return absl::InvalidArgumentError(
          support::strCat(what, " is not UTF-8 at byte ", text.size() - rest.size()));
    rest.remove_prefix(length);
  }
  return absl::OkStatus();
}

std::string replaceNonUtf8(std::string_view text) {
  std::string replaced;
  replaced.reserve(text.size());
  while (!text.empty()) {
    const size_t length = sequenceLength(text);
    replaced += length == 0 ? "\xEF\xBF\xBD" : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return replaced;
}

std::string cleanPath(std::string_view path) {
  const bool absolute = path.starts_with('/');
  std::vector<std::string_view> parts;
  for (std::string_view part : common::split(path, '/')) {
    if (part.empty() || part == ".") continue;
    const bool up = part == "..";
    if (up && !parts.empty() && parts.back() != "..")
      parts.pop_back();
    else if (!up || !absolute)
      parts.push_back(part);
  }
  std::string clean;
  for (std::string_view part : parts) {
    if (absolute || !clean.empty()) clean += '/';
    clean += part;
  }
  return !clean.empty() ? clean : absolute ? "/" : ".";
}

bool liesBelow(std::string_view path, std::string_view above) {
  return above == "/" || path == above || (path.starts_with(above) && path[above.size()] == '/');
}

}  // namespace berth::spec
