#include "credentials.hpp"

#include <algorithm>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "berth/plugin.hpp"
#include "berth/support/status.hpp"
#include "digest.hpp"
#include "text.hpp"

namespace berth::registry {
namespace {

using support::strCat;

// A registry's identity token hidden in the user name's place, as Docker stores it.
constexpr std::string_view kTokenUser = "<token>";

void wipe(std::string& text) {
  ::OPENSSL_cleanse(text.data(), text.size());
}

absl::StatusOr<std::string> decodeBase64(std::string_view text) {
  absl::Status malformed =
      absl::InvalidArgumentError("read credentials: auth is not base64 of user:password");
  text = trimmed(text);
  if (text.empty() || text.size() % 4 != 0 || text.size() > (1u << 20)) return malformed;
  std::string result(text.size() / 4 * 3, '\0');
  const int length = ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(result.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
  if (length < 0) return malformed;
  const size_t padding = text.size() - (text.find_last_not_of('=') + 1);
  if (padding > 2) return malformed;
  result.resize(static_cast<size_t>(length) - padding);
  return result;
}

// The host of "https://index.docker.io/v1/", "registry.example:5000", ….
std::string serverHost(std::string_view address) {
  const size_t scheme = address.find("://");
  if (scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  return lowerAscii(address.substr(0, address.find('/')));
}

std::string canonicalHost(std::string_view host) {
  std::string name = lowerAscii(host);
  if (name == "index.docker.io" || name == "registry-1.docker.io" || name == "registry.docker.io")
    return "docker.io";
  return name;
}

absl::Status splitAuth(std::string_view auth, Credentials& out) {
  BERTH_ASSIGN_OR_RETURN(std::string decoded, decodeBase64(auth));
  const size_t colon = decoded.find(':');
  if (colon == std::string::npos || colon == 0) {
    wipe(decoded);
    return absl::InvalidArgumentError("read credentials: auth is not base64 of user:password");
  }
  out.username = decoded.substr(0, colon);
  out.password = decoded.substr(colon + 1);
  // Some tools end the password with NULs.
  while (!out.password.empty() && out.password.back() == '\0') out.password.pop_back();
  wipe(decoded);
  return absl::OkStatus();
}

}  // namespace

Credentials::~Credentials() {
  wipe(username);
  wipe(password);
  wipe(identityToken);
  wipe(registryToken);
}

bool Credentials::areFor(std::string_view host) const {
  return server.empty() || canonicalHost(server) == canonicalHost(host);
}

std::string Credentials::identity() const {
  std::string all;
  // Lengths keep ("ab", "c") apart from ("a", "bc").
  for (const std::string* part : {&username, &password, &identityToken, &registryToken, &server})
    all += strCat(part->size(), ":") + *part;
  const auto digest = digestOf(all);
  wipe(all);
  return digest.value_or("sha256:none");
}

std::string Credentials::basic() const {
  std::string plain = username + ":" + password;
  std::string encoded((plain.size() + 2) / 3 * 4 + 1, '\0');
  const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                       reinterpret_cast<const unsigned char*>(plain.data()),
                                       static_cast<int>(plain.size()));
  encoded.resize(static_cast<size_t>(length));
  wipe(plain);
  return "Basic " + encoded;
}

bool isHeaderToken(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F; });
}

absl::StatusOr<Credentials> readCredentials(const berth_credentials& given) {
  Credentials result;
  result.username = copy(given.username);
  result.password = copy(given.password);
  result.identityToken = copy(given.identity_token);
  result.registryToken = copy(given.registry_token);
  result.server = serverHost(view(given.server_address));
  if (result.username.empty() && !view(given.auth).empty())
    BERTH_RETURN_IF_ERROR(splitAuth(view(given.auth), result));
  if (result.username == kTokenUser) {
    result.identityToken = result.password;
    result.username.clear();
    result.password.clear();
  }
  if (!isHeaderToken(result.registryToken))
    return absl::InvalidArgumentError(
        "read credentials: registry_token contains characters that no token has");
  if (result.username.find(':') != std::string::npos)
    return absl::InvalidArgumentError("read credentials: the user name contains a colon");
  return result;
}

}  // namespace berth::registry
