// Tokens of registries' token servers (Docker Registry v2 authentication, "Token Authentication"
// and "OAuth2 Token").
#pragma once

#include <chrono>
#include <string>

#include "attempts.hpp"
#include "challenge.hpp"
#include "credentials.hpp"
#include "endpoint.hpp"
#include "http.hpp"

namespace berth::registry {

// What a Bearer challenge asks for.
struct TokenDemand {
  std::string realm;
  std::string service;
  std::string scope;
};

struct Token {
  std::string value;
  std::chrono::steady_clock::time_point renewAt;  // some time before it expires
};

// Reads a token server's answer. DATA_LOSS when it is none; quotes nothing of it.
absl::StatusOr<Token> readToken(std::string_view body, std::chrono::steady_clock::time_point now);

// Asks for a token: with the refresh token when there is one, else as the user, else anonymously.
// Blocks. `from` is the server that named the realm.
Failure fetchToken(HttpClient& client, const Options& options, const Endpoint& from,
                   const TokenDemand& demand, const Credentials& credentials,
                   const Patience& patience, Token& token);

}  // namespace berth::registry
