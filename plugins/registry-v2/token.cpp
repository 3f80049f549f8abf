#include "token.hpp"

#include <algorithm>

#include "berth/support/json.hpp"
#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "redirect.hpp"

namespace berth::registry {
namespace {

using std::chrono::seconds;
using support::strCat;

constexpr size_t kAnswerLimit = 1u << 20;
constexpr size_t kTokenLimit = 64u << 10;
// "For compatibility with older clients, a token should never be returned with less than 60 seconds
// to live"; also what holds when the server does not say.
constexpr int64_t kDefaultLife = 60;
constexpr int64_t kLongestLife = 86'400;
constexpr int64_t kLongestMargin = 30;

class AnswerReader final : public BodyReader {
 public:
  absl::Status begin(const HttpHead&) override {
    body_.clear();
    return absl::OkStatus();
  }
  absl::Status data(std::string_view piece) override {
    if (body_.size() + piece.size() > kAnswerLimit)
      return absl::DataLossError("the token server's answer is larger than 1 MiB");
    body_.append(piece);
    return absl::OkStatus();
  }
  const std::string& body() const { return body_; }

 private:
  std::string body_;
};

absl::StatusOr<Url> realmUrl(const Endpoint& from, const std::string& realm) {
  auto url = parseUrl(realm);
  if (!url.ok())
    return absl::DataLossError(
        strCat("the registry names an unusable token server: ", url.status().message()));
  if (url->scheme == "http" && from.base.scheme == "https")
    return absl::PermissionDeniedError(
        strCat("the registry names ", support::oneLine(url->shown(), 256),
               " as its token server; credentials are not sent there without encryption"));
  return url;
}

HttpRequest refreshRequest(Url realm, const TokenDemand& demand, const Credentials& credentials) {
  HttpRequest request;
  request.url = std::move(realm);
  request.form = formEncoded({{"grant_type", "refresh_token"},
                              {"service", demand.service},
                              {"client_id", "berth"},
                              {"scope", demand.scope},
                              {"refresh_token", credentials.identityToken}});
  return request;
}

HttpRequest plainRequest(Url realm, const TokenDemand& demand, const Credentials& credentials) {
  HttpRequest request;
  const std::string query = formEncoded(
      {{"service", demand.service}, {"scope", demand.scope}, {"account", credentials.username}});
  request.url = std::move(realm);
  if (!request.url.query.empty() && !query.empty()) request.url.query += "&";
  request.url.query += query;
  if (!credentials.username.empty())
    request.headers.push_back("Authorization: " + credentials.basic());
  return request;
}

// Token servers answer 400 to bad credentials as well (RFC 6749, section 5.2).
Failure asTokenFailure(Failure failure, long httpStatus) {
  const absl::StatusCode code =
      httpStatus == 400 ? absl::StatusCode::kUnauthenticated : failure.status.code();
  failure.status =
      absl::Status(code, strCat("get a token: ", support::fromAbsl(failure.status.message())));
  return failure;
}

Failure localFailure(const absl::Status& status, std::string where) {
  Failure failure;
  failure.status = status;
  failure.where = std::move(where);
  return failure;
}

}  // namespace

absl::StatusOr<Token> readToken(std::string_view body, std::chrono::steady_clock::time_point now) {
  const auto document = support::parseJsonObject(body, "the token server's answer");
  if (!document.ok()) return absl::DataLossError("the token server's answer is not a JSON object");
  Token token;
  token.value = support::stringMember(*document, "token");
  if (token.value.empty()) token.value = support::stringMember(*document, "access_token");
  if (token.value.empty()) return absl::DataLossError("the token server's answer has no token");
  if (token.value.size() > kTokenLimit || !isHeaderToken(token.value))
    return absl::DataLossError("the token server's token is too long or has forbidden characters");
  int64_t life = support::intMember(*document, "expires_in", kDefaultLife);
  life = life <= 0 ? kDefaultLife : std::min(life, kLongestLife);
  // The server's clock started when it wrote the answer, ours when it arrived.
  const int64_t margin = std::min(life / 5, kLongestMargin);
  token.renewAt = now + seconds(life - margin);
  return token;
}

Failure fetchToken(HttpClient& client, const Options& options, const Endpoint& from,
                   const TokenDemand& demand, const Credentials& credentials,
                   const Patience& patience, Token& token) {
  const auto realm = realmUrl(from, demand.realm);
  if (!realm.ok()) return localFailure(realm.status(), from.base.origin());
  HttpRequest request = credentials.identityToken.empty()
                            ? plainRequest(*realm, demand, credentials)
                            : refreshRequest(*realm, demand, credentials);
  request.connectTimeout = from.connectTimeout;
  const Connections connections = [&](const Url& url) {
    return tokenConnectionFor(options, from, url);
  };

  AnswerReader reader;
  const FollowedAnswer followed =
      performFollowing(client, connections, std::move(request), reader, patience);
  Failure failure = failureOf(followed.answer, followed.url);
  if (failure.remedy == Remedy::kStop) return failure;
  if (!failure.ok()) return asTokenFailure(failure, followed.answer.head.status);
  auto read = readToken(reader.body(), std::chrono::steady_clock::now());
  if (!read.ok()) return localFailure(read.status(), failure.where);
  token = *std::move(read);
  return {};
}

}  // namespace berth::registry
