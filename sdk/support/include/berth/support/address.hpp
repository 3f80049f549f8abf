// IP addresses as text.
#pragma once

#include <string_view>

namespace berth::support {

// Whether the text, all of it, is an IPv4 or IPv6 address, without prefix length and zone. Any
// thread.
bool isAddress(std::string_view text);

}  // namespace berth::support
