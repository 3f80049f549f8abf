#include "digest.hpp"

#include <algorithm>
#include <array>

#include <openssl/evp.h>

#include "berth/support/status.hpp"
#include "berth/support/utf8.hpp"

namespace berth::registry {

using support::strCat;

absl::Status checkDigest(std::string_view digest) {
  constexpr size_t kShown = 160;
  const size_t colon = digest.find(':');
  const std::string_view algorithm = digest.substr(0, colon);
  const size_t digits = algorithm == "sha256" ? 64 : algorithm == "sha512" ? 128 : 0;
  if (colon == std::string_view::npos || digits == 0)
    return absl::InvalidArgumentError(strCat("the digest \"", support::oneLine(digest, kShown),
                                             "\" is neither sha256:… nor sha512:…"));
  const std::string_view value = digest.substr(colon + 1);
  const bool hexadecimal = std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (value.size() != digits || !hexadecimal)
    return absl::InvalidArgumentError(strCat("the digest \"", support::oneLine(digest, kShown),
                                             "\" must have ", digits,
                                             " lowercase hexadecimal digits after the colon"));
  return absl::OkStatus();
}

absl::StatusOr<std::string> digestOf(std::string_view bytes, std::string_view like) {
  const bool wide = like.substr(0, 7) == "sha512:";
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), value.data(), &length,
                 wide ? EVP_sha512() : EVP_sha256(), nullptr) != 1)
    return absl::InternalError("compute a digest: OpenSSL does not offer the algorithm");
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string result = wide ? "sha512:" : "sha256:";
  for (unsigned int i = 0; i < length; ++i) {
    result.push_back(kDigits[value[i] >> 4]);
    result.push_back(kDigits[value[i] & 15]);
  }
  return result;
}

}  // namespace berth::registry
