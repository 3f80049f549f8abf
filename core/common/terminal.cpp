#include "common/terminal.hpp"

#include <cstdio>

#include "berth/support/utf8.hpp"

namespace berth::common {

namespace {

// C0 and C1 (ISO/IEC 6429), and the marks that turn the direction of text (Unicode, UAX #9).
bool isObeyed(std::string_view character) {
  const auto at = [&](size_t i) { return static_cast<unsigned char>(character[i]); };
  if (character.size() == 1)
    return (at(0) < 0x20 && at(0) != '\n' && at(0) != '\t') || at(0) == 0x7F;
  if (character.size() == 2) return at(0) == 0xC2 && at(1) < 0xA0;
  if (character.size() != 3 || at(0) != 0xE2) return false;
  return (at(1) == 0x80 && at(2) >= 0xAA && at(2) <= 0xAE) ||
         (at(1) == 0x81 && at(2) >= 0xA6 && at(2) <= 0xA9);
}

// Where a text has what a terminal obeys, what `show` makes of it.
template <typename Show>
std::string replaced(std::string_view given, const Show& show) {
  const std::string text = support::validUtf8(given);
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character = rest.substr(0, support::utf8Length(rest));
    rest.remove_prefix(character.size());
    result += isObeyed(character) ? show(character) : std::string(character);
  }
  return result;
}

std::string bytesOf(std::string_view character) {
  std::string result;
  for (const char byte : character) {
    char shown[8];
    std::snprintf(shown, sizeof shown, "\\x%02x", static_cast<unsigned char>(byte));
    result += shown;
  }
  return result;
}

// As JSON has it (RFC 8259, 7): all of them have 16 bits at most.
std::string codePointOf(std::string_view character) {
  constexpr unsigned kFirstBits[] = {0x7F, 0x1F, 0x0F};  // of the first byte, by the length
  unsigned code = static_cast<unsigned char>(character[0]) & kFirstBits[character.size() - 1];
  for (const char byte : character.substr(1))
    code = code << 6 | (static_cast<unsigned char>(byte) & 0x3F);
  char shown[8];
  std::snprintf(shown, sizeof shown, "\\u%04x", code & 0xFFFF);
  return shown;
}

}  // namespace

std::string forTerminal(std::string_view text) {
  return replaced(text, bytesOf);
}

std::string jsonForTerminal(std::string_view document) {
  return replaced(document, codePointOf);
}

}  // namespace berth::common
