// SHA-256 digests as the OCI image specification writes them ("Digests").
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace berth::images {

// Computes a digest piece by piece. Not thread-safe. Uses the processor's SHA instructions where
// it has them (OpenSSL).
class Sha256 {
 public:
  Sha256();
  void update(std::string_view bytes);
  // "sha256:<64 hexadecimal digits>"; once.
  std::string finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

std::string sha256(std::string_view bytes);

// Of the only algorithm Berth takes: "sha256:" and 64 lowercase hexadecimal digits.
bool isDigest(std::string_view text);

}  // namespace berth::images
