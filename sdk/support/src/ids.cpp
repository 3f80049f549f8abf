#include "berth/support/ids.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <sys/random.h>

#include "berth/support/status.hpp"

namespace berth::support {

std::string randomId() {
  std::array<unsigned char, 32> bytes;
  ssize_t count = 0;
  // Up to 256 bytes come whole or not at all (getrandom(2)).
  do count = ::getrandom(bytes.data(), bytes.size(), 0);
  while (count < 0 && errno == EINTR);
  // No kernel that Berth runs on lacks the call; predictable ids must never be the fallback.
  if (count != static_cast<ssize_t>(bytes.size())) std::abort();

  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string id;
  id.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    id.push_back(kDigits[byte >> 4]);
    id.push_back(kDigits[byte & 15]);
  }
  return id;
}

absl::Status checkId(std::string_view what, std::string_view id) {
  constexpr size_t kLongest = 128;
  const bool safe =
      !id.empty() && id.size() <= kLongest && id.front() != '.' && id.front() != '-' &&
      id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
          std::string_view::npos;
  if (safe) return absl::OkStatus();
  return absl::InvalidArgumentError(
      strCat(what, " id \"", id, "\": must be 1 to ", kLongest, " letters, digits, \"_.-\""));
}

}  // namespace berth::support
