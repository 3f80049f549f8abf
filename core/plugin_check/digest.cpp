#include "plugin_check/digest.hpp"

#include <openssl/evp.h>

namespace berth::check {

std::string digestOf(std::string_view bytes) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  ::EVP_Digest(bytes.data(), bytes.size(), hash, &length, ::EVP_sha256(), nullptr);
  std::string text = "sha256:";
  for (unsigned i = 0; i < length; ++i) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[hash[i] >> 4];
    text += kDigits[hash[i] & 15];
  }
  return text;
}

}  // namespace berth::check
