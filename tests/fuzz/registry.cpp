// What registries and token servers answer: challenges, ranges, locations, tokens, errors.
#include "berth/support/utf8.hpp"
#include "blob.hpp"
#include "challenge.hpp"
#include "error_body.hpp"
#include "retry.hpp"
#include "target.hpp"
#include "text.hpp"
#include "token.hpp"
#include "url.hpp"

namespace berth::fuzz {

using namespace registry;

namespace {

bool isOneLine(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) return false;
  }
  return true;
}

void checkUrl(std::string_view text) {
  const auto url = parseUrl(text);
  if (url.ok()) {
    const auto again = parseUrl(url->text());
    demand(again.ok() && *again == *url, "a URL's text is that URL");
    demand(isOneLine(url->text()), "a URL breaks no line");
  }
  const auto base = parseUrl("https://registry.example:5000/v2/a/b?c=d");
  const auto target = resolveLocation(*base, text);
  if (target.ok()) demand(isOneLine(target->text()), "a location breaks no line");
}

void run(std::string_view text) {
  for (const Challenge& challenge : parseChallenges(text)) {
    demand(!challenge.scheme.empty(), "a challenge has a scheme");
    (void)challenge.parameter("realm");
  }
  const auto range = parseContentRange(text);
  if (range.ok()) {
    demand(range->first <= range->last && (range->total == 0 || range->last < range->total),
           "a range makes sense");
  }
  checkUrl(text);
  const auto wait = parseRetryAfter(text, 1700000000);
  demand(!wait || (wait->count() >= 0 && wait->count() <= 86'400'000), "a wait is bounded");
  (void)readToken(text, std::chrono::steady_clock::time_point());
  for (const char* type : {"application/json", "text/html", "text/plain"}) {
    demand(isOneLine(describeErrorBody(text, type)), "an error's description is one line");
  }
  const std::string shown = support::oneLine(text, 64);
  demand(isOneLine(shown) && shown.size() <= 64 + 3,
         "a text made one line is one line, and bounded");
  demand(isOneLine(formEncoded({{"scope", text}})), "a form is one line");
}

std::vector<std::string> seeds() {
  return {
      R"(Bearer realm="https://auth.example/token",service="a.example",scope="repository:a:pull")",
      R"(Basic realm="a \"quoted\" one", Negotiate, Bearer realm=plain)",
      "bytes 5-9/10",
      "bytes 0-0/*",
      "https://user:word@host.example/x#y",
      "https://[::1]:443/a/../b?c=%20d",
      "//cdn.example/blob?X-Signature=1",
      "../other/blob",
      "120",
      "Wed, 21 Oct 2015 07:28:00 GMT",
      R"({"token":"abc","expires_in":300,"issued_at":"2024-01-01T00:00:00Z"})",
      R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{"a":1}}]})",
      R"({"error":"invalid_grant","error_description":"no"})",
      "<html><body>no</body></html>",
      "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x8b\xc2\x85\xff",
  };
}

}  // namespace

const Target kRegistry{run, seeds};

}  // namespace berth::fuzz
