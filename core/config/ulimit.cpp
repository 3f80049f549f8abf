#include <algorithm>
#include <array>
#include <charconv>
#include <sys/resource.h>

#include "berth/support/status.hpp"
#include "config/config.hpp"

namespace berth::config {
namespace {

using support::strCat;

// All that Linux has (getrlimit(2)), without the prefix and in lower case.
constexpr std::array<std::string_view, 16> kTypes = {
    "as",   "core",   "cpu",   "data", "fsize",  "locks",  "memlock",    "msgqueue",
    "nice", "nofile", "nproc", "rss",  "rtprio", "rttime", "sigpending", "stack"};

absl::StatusOr<uint64_t> parseLimit(std::string_view text, std::string_view whole) {
  if (text == "unlimited") return RLIM_INFINITY;
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    return absl::InvalidArgumentError(
        strCat("limit \"", whole, "\": \"", text, "\" is neither a number nor \"unlimited\""));
  return value;
}

}  // namespace

absl::StatusOr<Ulimit> parseUlimit(std::string_view text) {
  const size_t equals = text.find('=');
  if (equals == std::string_view::npos)
    return absl::InvalidArgumentError(strCat("limit \"", text, "\": expected name=soft:hard"));
  const std::string_view name = text.substr(0, equals);
  if (std::find(kTypes.begin(), kTypes.end(), name) == kTypes.end())
    return absl::InvalidArgumentError(
        strCat("limit \"", text, "\": there is no limit \"", name, "\""));

  const std::string_view values = text.substr(equals + 1);
  const size_t colon = values.find(':');
  Ulimit limit{.type = "RLIMIT_"};
  for (const char c : name) limit.type += static_cast<char>(c - 'a' + 'A');
  BERTH_ASSIGN_OR_RETURN(limit.soft, parseLimit(values.substr(0, colon), text));
  limit.hard = limit.soft;
  if (colon != std::string_view::npos) {
    BERTH_ASSIGN_OR_RETURN(limit.hard, parseLimit(values.substr(colon + 1), text));
  }
  if (limit.soft > limit.hard)
    return absl::InvalidArgumentError(
        strCat("limit \"", text, "\": the soft limit is above the hard limit"));
  return limit;
}

}  // namespace berth::config
