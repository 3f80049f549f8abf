#include "authorizer.hpp"

#include <algorithm>
#include <vector>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::registry {
namespace {

using support::strCat;
using Clock = std::chrono::steady_clock;

constexpr size_t kGrantLimit = 1024;

Failure refusal(const Endpoint& endpoint, const absl::Status& status) {
  Failure failure;
  failure.status = status;
  failure.where = endpoint.base.origin();
  return failure;
}

std::vector<Challenge> allChallenges(const HttpHead& head) {
  std::vector<Challenge> result;
  for (const std::string& header : head.challenges)
    for (Challenge& challenge : parseChallenges(header)) result.push_back(std::move(challenge));
  return result;
}

const Challenge* findScheme(const std::vector<Challenge>& challenges, std::string_view scheme) {
  const auto found = std::find_if(challenges.begin(), challenges.end(),
                                  [&](const Challenge& c) { return c.scheme == scheme; });
  return found == challenges.end() ? nullptr : &*found;
}

std::string schemesOf(const std::vector<Challenge>& challenges) {
  std::string result;
  for (const Challenge& challenge : challenges)
    result += strCat(result.empty() ? "" : ", ", support::oneLine(challenge.scheme, 32));
  return result.empty() ? "none" : result;
}

TokenDemand demandOf(const Challenge& challenge, const Endpoint& endpoint,
                     const std::string& path) {
  TokenDemand demand{std::string(challenge.parameter("realm")),
                     std::string(challenge.parameter("service")),
                     std::string(challenge.parameter("scope"))};
  if (demand.scope.empty())
    demand.scope = strCat("repository:", endpoint.repository(path), ":pull");
  return demand;
}

// The way to satisfy one of the challenges with these credentials, Bearer before Basic.
absl::StatusOr<Grant> chooseGrant(const std::vector<Challenge>& challenges,
                                  const Endpoint& endpoint, const std::string& path,
                                  const Credentials& credentials) {
  const Challenge* bearer = findScheme(challenges, "bearer");
  const Challenge* basic = findScheme(challenges, "basic");
  if (!credentials.registryToken.empty() && (bearer != nullptr || basic == nullptr))
    return Grant{.kind = GrantKind::kRegistryToken};
  if (bearer != nullptr && !bearer->parameter("realm").empty())
    return Grant{.kind = GrantKind::kBearer, .demand = demandOf(*bearer, endpoint, path)};
  if (basic != nullptr && !credentials.username.empty()) return Grant{.kind = GrantKind::kBasic};
  if (basic != nullptr)
    return absl::UnauthenticatedError(
        "HTTP 401: the registry wants a user and a password, and none are known for it; give them "
        "with the request (imagePullSecrets) or in the node's auth.json");
  if (bearer != nullptr)
    return absl::UnauthenticatedError(
        "HTTP 401: the registry wants a token and does not say from where");
  return absl::UnauthenticatedError(
      strCat("HTTP 401: the registry offers no way to authenticate that is known here (Bearer, "
             "Basic); it offers: ",
             schemesOf(challenges)));
}

}  // namespace

std::optional<Grant> GrantCache::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = grants_.find(key);
  return found == grants_.end() ? std::nullopt : std::optional<Grant>(found->second);
}

void GrantCache::put(const std::string& key, Grant grant) {
  const std::lock_guard lock(mutex_);
  if (grants_.size() >= kGrantLimit && grants_.find(key) == grants_.end()) {
    std::erase_if(grants_, [now = Clock::now()](const auto& entry) {
      return entry.second.kind == GrantKind::kBearer && entry.second.token.renewAt <= now;
    });
    if (grants_.size() >= kGrantLimit) grants_.erase(grants_.begin());
  }
  grants_.insert_or_assign(key, std::move(grant));
}

void GrantCache::drop(const std::string& key) {
  const std::lock_guard lock(mutex_);
  grants_.erase(key);
}

void GrantCache::clear() {
  const std::lock_guard lock(mutex_);
  grants_.clear();
}

std::string Authorizer::key(const Endpoint& endpoint, const std::string& path) const {
  // The host's own credentials are its secret to keep apart; those of requests are told apart here.
  const std::string user = given_ ? given_->identity() : "host";
  return strCat(endpoint.base.origin(), " ", endpoint.repository(path), " ", endpoint.credential,
                " ", user);
}

absl::StatusOr<Credentials> Authorizer::hostCredentials(const Endpoint& endpoint,
                                                        const std::string& path) {
  // Hosts before 1.1 know registries only.
  const bool scoped = services_.host.abiMinor() >= 1;
  const std::string registry =
      scoped ? strCat(endpoint.credential, "/", endpoint.repository(path)) : endpoint.credential;
  const auto known = found_.find(registry);
  if (known != found_.end()) return known->second;
  absl::StatusOr<Credentials> result = Credentials();
  const Status status = services_.host.getCredentials(
      patience_.op(), registry,
      [&](const berth_credentials& given) { result = readCredentials(given); });
  if (!status.ok() && status.code() != BERTH_NOT_FOUND)
    return absl::Status(static_cast<absl::StatusCode>(status.code()),
                        strCat("find credentials for ", registry, ": ", status.message()));
  if (result.ok()) found_.emplace(registry, *result);
  return result;
}

// A mirror's own credentials come before those of the registry it stands for.
absl::StatusOr<Credentials> Authorizer::credentialsFor(const Endpoint& endpoint,
                                                       const std::string& path) {
  const bool usable = given_ && !given_->empty() && given_->areFor(endpoint.credential);
  if (usable && endpoint.role == EndpointRole::kRegistry) return *given_;
  BERTH_ASSIGN_OR_RETURN(Credentials own, hostCredentials(endpoint, path));
  return own.empty() && usable ? *given_ : own;
}

Failure Authorizer::renew(const Endpoint& endpoint, const std::string& key,
                          const Credentials& credentials, Grant& grant) {
  if (grant.kind == GrantKind::kBearer) {
    Failure failure = fetchToken(services_.http, services_.options, endpoint, grant.demand,
                                 credentials, patience_, grant.token);
    if (!failure.ok()) {
      services_.grants.drop(key);
      return failure;
    }
  }
  services_.grants.put(key, grant);
  return {};
}

Failure Authorizer::header(const Endpoint& endpoint, const std::string& path, std::string& line) {
  line.clear();
  const std::string grantKey = key(endpoint, path);
  std::optional<Grant> grant = services_.grants.find(grantKey);
  if (!grant) return {};
  if (grant->kind == GrantKind::kBearer && grant->token.renewAt > Clock::now()) {
    line = "Authorization: Bearer " + grant->token.value;
    return {};
  }
  const auto credentials = credentialsFor(endpoint, path);
  if (!credentials.ok()) return refusal(endpoint, credentials.status());
  if (grant->kind == GrantKind::kBearer) {
    Failure failure = renew(endpoint, grantKey, *credentials, *grant);
    if (failure.ok()) line = "Authorization: Bearer " + grant->token.value;
    return failure;
  }
  // The host may have lost its credentials since; the registry then says what it wants.
  if (grant->kind == GrantKind::kBasic && !credentials->username.empty())
    line = "Authorization: " + credentials->basic();
  if (grant->kind == GrantKind::kRegistryToken && !credentials->registryToken.empty())
    line = "Authorization: Bearer " + credentials->registryToken;
  return {};
}

Failure Authorizer::answer(const Endpoint& endpoint, const std::string& path,
                           const HttpHead& head) {
  const auto credentials = credentialsFor(endpoint, path);
  if (!credentials.ok()) return refusal(endpoint, credentials.status());
  auto grant = chooseGrant(allChallenges(head), endpoint, path, *credentials);
  if (!grant.ok()) return refusal(endpoint, grant.status());
  return renew(endpoint, key(endpoint, path), *credentials, *grant);
}

void Authorizer::refused(const Endpoint& endpoint, const std::string& path) {
  services_.grants.drop(key(endpoint, path));
}

}  // namespace berth::registry
