// WWW-Authenticate (RFC 9110, section 11.6.1).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::registry {

struct Challenge {
  std::string scheme;                                           // lowercase
  std::vector<std::pair<std::string, std::string>> parameters;  // names lowercase, values unquoted

  // Empty when it is missing.
  std::string_view parameter(std::string_view name) const;
};

// All challenges of one header value, in order. What does not follow the grammar ends the list:
// the challenges before it stand.
std::vector<Challenge> parseChallenges(std::string_view header);

}  // namespace berth::registry
