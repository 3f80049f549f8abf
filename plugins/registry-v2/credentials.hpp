// Who asks.
#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "berth/types.h"

namespace berth::registry {

// A copy of berth_credentials for the length of a call; wiped when it goes.
struct Credentials {
  std::string username;
  std::string password;
  std::string identityToken;
  std::string registryToken;
  std::string server;  // the host they are for; empty: any that is asked

  Credentials() = default;
  Credentials(const Credentials&) = default;
  Credentials& operator=(const Credentials&) = default;
  ~Credentials();

  bool empty() const { return username.empty() && identityToken.empty() && registryToken.empty(); }
  // Whether they may be shown to `host`; the names of Docker Hub count as one.
  bool areFor(std::string_view host) const;
  // Tells users apart in memory without keeping what they know: a digest of everything above.
  std::string identity() const;
  // The value of an Authorization header (RFC 7617).
  std::string basic() const;
};

// Decodes `auth` when it stands in for user and password. INVALID_ARGUMENT when it is no base64 of
// "user:password", or a token could break a header; the message quotes nothing of it.
absl::StatusOr<Credentials> readCredentials(const berth_credentials& given);

// Whether the text can stand in an Authorization header: visible ASCII without spaces.
bool isHeaderToken(std::string_view text);

}  // namespace berth::registry
