// http and https URLs.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>

namespace berth::registry {

struct Url {
  std::string scheme;  // "http" or "https"
  std::string host;    // lowercase, with the port when it is not the scheme's: "[::1]:5000"
  std::string path;    // starts with '/', percent-encoded as given
  std::string query;   // without '?'; may be empty

  // "https://host:5000": what credentials and connections belong to.
  std::string origin() const { return scheme + "://" + host; }
  std::string text() const;
  // Without the query, which may carry signatures and tokens: for messages.
  std::string shown() const;
  bool operator==(const Url&) const = default;
};

// INVALID_ARGUMENT unless it is an absolute http or https URL with a host, without user,
// password or fragment. Never quotes the text, which may hold a password.
absl::StatusOr<Url> parseUrl(std::string_view text);

// What a Location header means at `base` (RFC 9110, section 10.2.2).
absl::StatusOr<Url> resolveLocation(const Url& base, std::string_view location);

std::string percentEncoded(std::string_view text);

// "a=b&c=d", encoded; pairs with an empty value are left out.
std::string formEncoded(const std::vector<std::pair<std::string_view, std::string_view>>& pairs);

}  // namespace berth::registry
