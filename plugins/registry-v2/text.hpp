// Text that comes from other machines, made fit for messages; ASCII comparisons.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::registry {

std::string lowerAscii(std::string_view text);
bool equalIgnoringCase(std::string_view a, std::string_view b);
// Without spaces and tabs at both ends.
std::string_view trimmed(std::string_view text);

// At most `limit` bytes of one line: control characters and what is not UTF-8 become one space,
// and "…" shows a cut. So that a server cannot forge log lines or flood them.
std::string sanitised(std::string_view text, size_t limit);

}  // namespace berth::registry
