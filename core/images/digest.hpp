// Digests as the OCI image specification writes them ("Digests"): SHA-256, which all know, and
// SHA-512, the other one that is registered.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace berth::images {

// Computes a digest piece by piece. Not thread-safe. Uses the processor's SHA instructions where
// it has them (OpenSSL).
class Hash {
 public:
  // With the algorithm of `like`, a digest that the outcome is to be compared with.
  explicit Hash(std::string_view like = {});
  void update(std::string_view bytes);
  // "sha256:<64 hexadecimal digits>", "sha512:<128 hexadecimal digits>"; once.
  std::string finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const bool wide_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256(std::string_view bytes);
// With the algorithm of `like`.
std::string digestLike(std::string_view like, std::string_view bytes);

// "sha256:" or "sha512:", and as many lowercase hexadecimal digits as that has.
bool isDigest(std::string_view text);

}  // namespace berth::images
