// Public keys of sigstore signatures.
#pragma once

#include <memory>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

struct evp_pkey_st;

namespace berth::signatures {

// Immutable, so thread-safe; copies share the key.
class PublicKey {
 public:
  // From PEM ("PUBLIC KEY", RFC 7468): ECDSA, Ed25519, or RSA of at least 2048 bits.
  // INVALID_ARGUMENT for any other, and for more than one key.
  static absl::StatusOr<PublicKey> parse(std::string_view pem);

  // Whether `signature` is this key's of `text`: ECDSA (ASN.1) and RSA (PKCS #1 v1.5) of its
  // SHA-256 digest, Ed25519 of the text itself. INVALID_ARGUMENT when it is not.
  absl::Status verify(std::string_view text, std::string_view signature) const;

 private:
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace berth::signatures
