// Answers the challenges of registries.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "attempts.hpp"
#include "berth/plugin.hpp"
#include "credentials.hpp"
#include "token.hpp"

namespace berth::registry {

enum class GrantKind {
  kBasic,
  kBearer,         // a token server's token
  kRegistryToken,  // the caller's own token
};

// What a server was satisfied with last time: lets the next request come with its authorization
// at once. Holds no credentials of the caller, only tokens made for this purpose.
struct Grant {
  GrantKind kind = GrantKind::kBasic;
  TokenDemand demand;
  Token token;
};

// Grants by server, repository and user. Any thread; bounded.
class GrantCache {
 public:
  std::optional<Grant> find(const std::string& key) const;
  void put(const std::string& key, Grant grant);
  void drop(const std::string& key);
  void clear();

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Grant> grants_;
};

// What all calls share.
struct Services {
  const Options& options;
  HttpClient& http;
  GrantCache& grants;
  const Host& host;
};

// For one call of the host; one thread.
class Authorizer {
 public:
  // `given`: the credentials that came with the request, if any.
  Authorizer(const Services& services, std::optional<Credentials> given, const Patience& patience)
      : services_(services), given_(std::move(given)), patience_(patience) {}

  // The Authorization header line for a request about `path`, "" when none is known to be needed.
  // May block on a token server, when a token has to be renewed.
  Failure header(const Endpoint& endpoint, const std::string& path, std::string& line);
  // After a 401: prepares what the challenges ask for. A failure when that is not possible:
  // UNAUTHENTICATED, or what the token server said. Blocks on it and on the host's helpers.
  Failure answer(const Endpoint& endpoint, const std::string& path, const HttpHead& head);
  // After a 401 in spite of an answer: forgets it.
  void refused(const Endpoint& endpoint, const std::string& path);

 private:
  std::string key(const Endpoint& endpoint, const std::string& path) const;
  absl::StatusOr<Credentials> credentialsFor(const Endpoint& endpoint, const std::string& path);
  absl::StatusOr<Credentials> hostCredentials(const Endpoint& endpoint, const std::string& path);
  Failure renew(const Endpoint& endpoint, const std::string& key, const Credentials& credentials,
                Grant& grant);

  const Services& services_;
  std::optional<Credentials> given_;
  const Patience& patience_;
  std::map<std::string, Credentials> found_;  // the host's, by what was asked for
};

}  // namespace berth::registry
