// Texts of others on a terminal.
#pragma once

#include <string>
#include <string_view>

namespace berth::common {

// The text with everything that a terminal obeys, but for line ends and tabs, shown as "\x1b", and
// with U+FFFD for what is no UTF-8: names in archives and what registries answer may hold anything.
std::string forTerminal(std::string_view text);

// The same of a JSON document, which stays one and means what it meant: "\u009b".
std::string jsonForTerminal(std::string_view document);

}  // namespace berth::common
