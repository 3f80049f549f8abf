#include "url.hpp"

#include <memory>

#include <curl/curl.h>

#include "berth/support/status.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

struct FreeHandle {
  void operator()(CURLU* handle) const { ::curl_url_cleanup(handle); }
};
using Handle = std::unique_ptr<CURLU, FreeHandle>;

// Refused rather than dropped: whoever wrote a password there expects it to be used.
constexpr unsigned kFlags = CURLU_DISALLOW_USER;

absl::StatusOr<Handle> newHandle() {
  Handle handle(::curl_url());
  if (handle == nullptr) return absl::ResourceExhaustedError("parse a URL: out of memory");
  return handle;
}

absl::Status assign(CURLU* handle, std::string_view text) {
  // curl would end the text at a NUL and accept what stands before it.
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7F)
      return absl::InvalidArgumentError("the URL contains a space or a control character");
  const CURLUcode code = ::curl_url_set(handle, CURLUPART_URL, std::string(text).c_str(), kFlags);
  if (code != CURLUE_OK)
    return absl::InvalidArgumentError(strCat("not a URL: ", ::curl_url_strerror(code)));
  return absl::OkStatus();
}

std::string part(CURLU* handle, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (::curl_url_get(handle, which, &text, flags) != CURLUE_OK || text == nullptr) return {};
  const std::unique_ptr<char, void (*)(void*)> owner(text, &::curl_free);
  return text;
}

absl::StatusOr<Url> read(CURLU* handle) {
  Url url;
  url.scheme = lowerAscii(part(handle, CURLUPART_SCHEME));
  if (url.scheme != "http" && url.scheme != "https")
    return absl::InvalidArgumentError("the URL must start with http:// or https://");
  url.host = lowerAscii(part(handle, CURLUPART_HOST));
  if (url.host.empty()) return absl::InvalidArgumentError("the URL names no host");
  const std::string port = part(handle, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  if (!port.empty()) url.host += ":" + port;
  url.path = part(handle, CURLUPART_PATH);
  if (url.path.empty()) url.path.push_back('/');
  url.query = part(handle, CURLUPART_QUERY);
  return url;
}

}  // namespace

std::string Url::text() const {
  return query.empty() ? shown() : shown() + "?" + query;
}

std::string Url::shown() const {
  return origin() + path;
}

absl::StatusOr<Url> parseUrl(std::string_view text) {
  BERTH_ASSIGN_OR_RETURN(const Handle handle, newHandle());
  BERTH_RETURN_IF_ERROR(assign(handle.get(), text));
  if (!part(handle.get(), CURLUPART_FRAGMENT).empty())
    return absl::InvalidArgumentError("the URL must not have a fragment (#…)");
  return read(handle.get());
}

absl::StatusOr<Url> resolveLocation(const Url& base, std::string_view location) {
  BERTH_ASSIGN_OR_RETURN(const Handle handle, newHandle());
  BERTH_RETURN_IF_ERROR(assign(handle.get(), base.text()));
  BERTH_RETURN_IF_ERROR(assign(handle.get(), location));
  return read(handle.get());
}

std::string percentEncoded(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string result;
  for (const char c : text) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    const auto byte = static_cast<unsigned char>(c);
    if (plain) {
      result.push_back(c);
    } else {
      result.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
    }
  }
  return result;
}

std::string formEncoded(const std::vector<std::pair<std::string_view, std::string_view>>& pairs) {
  std::string result;
  for (const auto& [name, value] : pairs) {
    if (value.empty()) continue;
    if (!result.empty()) result.push_back('&');
    result += percentEncoded(name) + "=" + percentEncoded(value);
  }
  return result;
}

}  // namespace berth::registry
