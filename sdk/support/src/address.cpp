#include "berth/support/address.hpp"

#include <arpa/inet.h>
#include <string>

namespace berth::support {

bool isAddress(std::string_view text) {
  // inet_pton(3) would read up to a NUL, and leave what follows it unread.
  if (text.find('\0') != std::string_view::npos) return false;
  const std::string whole(text);
  in6_addr ignored{};
  return ::inet_pton(AF_INET, whole.c_str(), &ignored) == 1 ||
         ::inet_pton(AF_INET6, whole.c_str(), &ignored) == 1;
}

}  // namespace berth::support
