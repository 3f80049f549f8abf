#include <cstdint>

#include "berth/support/utf8.hpp"
#include "runtime_call.hpp"

namespace berth::runc::monitor {

namespace {

constexpr size_t kMaxMessage = 2048;
constexpr size_t kShortText = 400;

void appendUtf8(std::string& out, uint32_t code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xe0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

bool parseHex4(std::string_view text, uint32_t& code) {
  if (text.size() < 4) return false;
  code = 0;
  for (char c : text.substr(0, 4)) {
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0');
    } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
      digit = static_cast<uint32_t>((c | 0x20) - 'a' + 10);
    } else {
      return false;
    }
    code = code << 4 | digit;
  }
  return true;
}

// `text` begins after the opening quote.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size() && text[i] != '"' && out.size() <= kMaxMessage; ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    uint32_t code = 0;
    switch (const char c = text[++i]) {
      case 'n':
        out.push_back('\n');
        break;
      case 't':
        out.push_back('\t');
        break;
      case 'r':
      case 'b':
      case 'f':
        break;
      case 'u':
        if (parseHex4(text.substr(i + 1), code)) {
          // Halves of surrogate pairs become the replacement character.
          appendUtf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
          i += 4;
        }
        break;
      default:
        out.push_back(c);
    }
  }
  return out;
}

// The text after `"key":` and blanks, or empty.
std::string_view valueAfter(std::string_view line, std::string_view quotedKey) {
  const size_t at = line.find(quotedKey);
  if (at == std::string_view::npos) return {};
  std::string_view rest = line.substr(at + quotedKey.size());
  const size_t value = rest.find_first_not_of(" :\t");
  if (value == std::string_view::npos) return {};
  return rest.substr(value);
}

bool isError(std::string_view line) {
  const std::string_view level = valueAfter(line, "\"level\"");
  return level.starts_with("\"error\"") || level.starts_with("\"fatal\"") ||
         level.starts_with("\"panic\"");
}

// An unstructured text: all of it when it is short (usage errors have their reason before the
// hint), else its last line.
std::string plainText(std::string_view text, std::string_view lastLine) {
  if (text.size() > kShortText) return std::string(lastLine);
  std::string joined;
  for (char c : text) {
    if (c == '\n') {
      joined += "; ";
    } else {
      joined.push_back(c);
    }
  }
  return joined;
}

// For a message: what the runtime quotes of a container's command can be any bytes.
std::string presentable(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  return std::string(
      support::utf8Prefix(support::validUtf8(support::utf8Prefix(text, kMaxMessage)), kMaxMessage));
}

}  // namespace

std::string lastErrorIn(std::string_view log) {
  while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
  const std::string_view whole = log;
  std::string_view lastLine;
  while (!log.empty()) {
    while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
    const size_t newline = log.rfind('\n');
    const std::string_view line = newline == std::string_view::npos ? log : log.substr(newline + 1);
    if (lastLine.empty()) lastLine = line;
    if (isError(line)) {
      const std::string_view message = valueAfter(line, "\"msg\"");
      if (message.starts_with('"')) return presentable(unescape(message.substr(1)));
    }
    if (newline == std::string_view::npos) break;
    log = log.substr(0, newline);
  }
  if (lastLine.starts_with('{')) return {};
  return presentable(plainText(whole, lastLine));
}

}  // namespace berth::runc::monitor
