#include "redirect.hpp"

#include <algorithm>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

constexpr int kRedirectionLimit = 5;

bool isRedirection(const HttpAnswer& answer) {
  const long status = answer.head.status;
  return answer.failure == HttpFailure::kNone && !answer.head.location.empty() &&
         (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

absl::StatusOr<Url> nextUrl(const HttpRequest& request, const HttpHead& head) {
  auto next = resolveLocation(request.url, head.location);
  if (!next.ok())
    return absl::DataLossError(
        strCat("redirected to an unusable address: ", next.status().message()));
  if (request.url.scheme == "https" && next->scheme == "http")
    return absl::DataLossError(
        strCat("redirected to ", support::oneLine(next->shown(), 256),
               ", which would give up encryption; the registry's storage must offer https"));
  if (!request.form.empty())
    return absl::DataLossError(strCat("redirected to ", support::oneLine(next->shown(), 256),
                                      " although the request carries credentials"));
  return next;
}

void leaveOrigin(HttpRequest& request) {
  std::erase_if(request.headers, [](const std::string& line) {
    return equalIgnoringCase(line.substr(0, line.find(':')), "Authorization");
  });
}

}  // namespace

FollowedAnswer performFollowing(HttpClient& client, const Connections& connections,
                                HttpRequest request, BodyReader& reader, const Patience& patience) {
  for (int hop = 0;; ++hop) {
    request.connection = connections(request.url);
    HttpAnswer answer = client.perform(request, reader, patience);
    if (!isRedirection(answer)) return {std::move(answer), request.url};
    auto next = nextUrl(request, answer.head);
    if (next.ok() && hop == kRedirectionLimit)
      next = absl::DataLossError(strCat("redirected more than ", kRedirectionLimit, " times"));
    if (!next.ok()) {
      answer.failure = HttpFailure::kRedirect;
      answer.status = next.status();
      return {std::move(answer), request.url};
    }
    if (next->origin() != request.url.origin()) leaveOrigin(request);
    request.url = *std::move(next);
  }
}

}  // namespace berth::registry
