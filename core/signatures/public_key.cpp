#include "signatures/public_key.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "berth/support/status.hpp"

namespace berth::signatures {

using support::strCat;

namespace {

constexpr std::string_view kBegin = "-----BEGIN ";
constexpr int kShortestRsa = 2048;  // bits; NIST SP 800-131A, 3
constexpr int kLongestRsa = 16384;  // verifying takes longer with each bit

// OpenSSL keeps a thread's errors for whoever asks next.
absl::Status failure(std::string_view what) {
  ::ERR_clear_error();
  return absl::InvalidArgumentError(std::string(what));
}

const unsigned char* bytesOf(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

absl::Status checkKind(const EVP_PKEY* key) {
  switch (::EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_EC:
    case EVP_PKEY_ED25519:
      return absl::OkStatus();
    case EVP_PKEY_RSA: {
      const int bits = ::EVP_PKEY_get_bits(key);
      if (bits >= kShortestRsa && bits <= kLongestRsa) return absl::OkStatus();
      return failure(strCat("an RSA key of ", bits, " bits is not taken: ", kShortestRsa, " to ",
                            kLongestRsa, " are"));
    }
    default:
      return failure("it is no ECDSA, Ed25519 or RSA key");
  }
}

}  // namespace

absl::StatusOr<PublicKey> PublicKey::parse(std::string_view pem) {
  const size_t first = pem.find(kBegin);
  if (first != pem.npos && pem.find(kBegin, first + 1) != pem.npos)
    return failure("it holds more than one key");
  if (pem.size() > static_cast<size_t>(INT32_MAX)) return failure("it is too large");
  const std::unique_ptr<BIO, decltype(&::BIO_free)> source(
      ::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), &::BIO_free);
  if (source == nullptr) return absl::ResourceExhaustedError("no memory to read a key");
  // Never asks anybody for a passphrase.
  const auto noPassphrase = [](char*, int, int, void*) { return -1; };
  std::shared_ptr<EVP_PKEY> key(::PEM_read_bio_PUBKEY(source.get(), nullptr, noPassphrase, nullptr),
                                &::EVP_PKEY_free);
  if (key == nullptr) return failure("it is no public key in PEM (\"-----BEGIN PUBLIC KEY-----\")");
  BERTH_RETURN_IF_ERROR(checkKind(key.get()));
  return PublicKey(std::move(key));
}

absl::Status PublicKey::verify(std::string_view text, std::string_view signature) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(),
                                                                          &::EVP_MD_CTX_free);
  if (context == nullptr) return absl::ResourceExhaustedError("no memory to verify a signature");
  // RFC 8032: Ed25519 takes no digest.
  const bool pure = ::EVP_PKEY_get_base_id(key_.get()) == EVP_PKEY_ED25519;
  if (::EVP_DigestVerifyInit(context.get(), nullptr, pure ? nullptr : ::EVP_sha256(), nullptr,
                             key_.get()) != 1 ||
      ::EVP_DigestVerify(context.get(), bytesOf(signature), signature.size(), bytesOf(text),
                         text.size()) != 1) {
    return failure("it is not of this key");
  }
  return absl::OkStatus();
}

}  // namespace berth::signatures
