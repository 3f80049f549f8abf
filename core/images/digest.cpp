#include "images/digest.hpp"

#include <array>

namespace berth::images {

namespace {

struct Algorithm {
  std::string_view prefix;
  size_t digits;
};
constexpr Algorithm kSha256{"sha256:", 64};
constexpr Algorithm kSha512{"sha512:", 128};

bool isOf(const Algorithm& algorithm, std::string_view text) {
  return text.starts_with(algorithm.prefix) &&
         text.size() == algorithm.prefix.size() + algorithm.digits &&
         text.find_first_not_of("0123456789abcdef", algorithm.prefix.size()) ==
             std::string_view::npos;
}

}  // namespace

Hash::Hash(std::string_view like)
    : wide_(like.starts_with(kSha512.prefix)), context_(EVP_MD_CTX_new()) {
  EVP_DigestInit_ex(context_.get(), wide_ ? EVP_sha512() : EVP_sha256(), nullptr);
}

void Hash::update(std::string_view bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string Hash::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> hash;
  unsigned int size = 0;
  EVP_DigestFinal_ex(context_.get(), hash.data(), &size);
  std::string text((wide_ ? kSha512 : kSha256).prefix);
  for (unsigned int i = 0; i < size; ++i) {
    text += "0123456789abcdef"[hash[i] >> 4];
    text += "0123456789abcdef"[hash[i] & 15];
  }
  return text;
}

std::string sha256(std::string_view bytes) {
  return digestLike({}, bytes);
}

std::string digestLike(std::string_view like, std::string_view bytes) {
  Hash hash(like);
  hash.update(bytes);
  return hash.finish();
}

bool isDigest(std::string_view text) {
  return isOf(kSha256, text) || isOf(kSha512, text);
}

}  // namespace berth::images
