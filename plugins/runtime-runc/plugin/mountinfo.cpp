#include "mountinfo.hpp"

#include <algorithm>

#include <absl/strings/str_split.h>

#include "berth/support/status.hpp"

namespace berth::runc {

namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  return absl::StrSplit(support::toAbsl(text), separator);
}

// mountinfo writes blank, tab, newline and backslash as three octal digits.
std::string unescape(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && i + 3 < text.size() && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// Fields: id, parent, device, root, mount point, options, optional fields, "-", type, source, file
// system options.
bool parseMount(std::string_view line, MountEntry& mount) {
  const std::vector<std::string> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 10 || fields.end() - dash < 4) return false;
  mount = {.point = unescape(fields[4]), .type = dash[1], .options = dash[3]};
  return true;
}

}  // namespace

std::vector<MountEntry> parseMountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  MountEntry entry;
  for (const std::string& line : split(text, '\n')) {
    if (parseMount(line, entry)) entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace berth::runc
