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

}  // namespace

std::string forTerminal(std::string_view given) {
  const std::string text = support::validUtf8(given);
  std::string result;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view character = rest.substr(0, support::utf8Length(rest));
    rest.remove_prefix(character.size());
    if (!isObeyed(character)) {
      result += character;
      continue;
    }
    for (const char byte : character) {
      char shown[8];
      std::snprintf(shown, sizeof shown, "\\x%02x", static_cast<unsigned char>(byte));
      result += shown;
    }
  }
  return result;
}

}  // namespace berth::common
