// ASCII comparisons, which HTTP and host names need.
#pragma once

#include <string>
#include <string_view>

namespace berth::registry {

std::string lowerAscii(std::string_view text);
bool equalIgnoringCase(std::string_view a, std::string_view b);
// Without spaces and tabs at both ends.
std::string_view trimmed(std::string_view text);

}  // namespace berth::registry
