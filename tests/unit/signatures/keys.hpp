// Keys that are made for a test, and what they sign.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <absl/strings/escaping.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "berth/support/status.hpp"

namespace berth::signatures::testing {

class TestKey {
 public:
  // "EC" (P-256), "ED25519", "RSA" of `bits`, "X25519".
  explicit TestKey(const std::string& kind, unsigned bits = 2048) : kind_(kind) {
    EVP_PKEY* key = kind == "EC"    ? ::EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                    : kind == "RSA" ? ::EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{bits})
                                    : ::EVP_PKEY_Q_keygen(nullptr, nullptr, kind.c_str());
    EXPECT_NE(key, nullptr);
    key_.reset(key, &::EVP_PKEY_free);
  }

  std::string pem() const {
    const std::unique_ptr<BIO, decltype(&::BIO_free)> bio(::BIO_new(::BIO_s_mem()), &::BIO_free);
    EXPECT_EQ(::PEM_write_bio_PUBKEY(bio.get(), key_.get()), 1);
    char* bytes = nullptr;
    const long size = ::BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<size_t>(size)};
  }
  std::string sign(std::string_view text) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context(::EVP_MD_CTX_new(),
                                                                            &::EVP_MD_CTX_free);
    const EVP_MD* digest = kind_ == "ED25519" ? nullptr : ::EVP_sha256();
    EXPECT_EQ(::EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, key_.get()), 1);
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    size_t size = 0;
    EXPECT_EQ(::EVP_DigestSign(context.get(), nullptr, &size, data, text.size()), 1);
    std::string signature(size, '\0');
    EXPECT_EQ(::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                               &size, data, text.size()),
              1);
    signature.resize(size);
    return signature;
  }
  std::string signBase64(std::string_view text) const { return absl::Base64Escape(sign(text)); }

 private:
  const std::string kind_;
  std::shared_ptr<EVP_PKEY> key_;
};

inline std::string digestOf(char digit) {
  return "sha256:" + std::string(64, digit);
}

// What a signature says: `type` is the middle of "… container …".
inline std::string payload(const std::string& type, const std::string& name,
                           const std::string& digest) {
  return support::strCat(R"({"critical":{"identity":{"docker-reference":")", name,
                         R"("},"image":{"docker-manifest-digest":")", digest, R"("},"type":")",
                         type, R"("},"optional":{"creator":"a test","timestamp":1700000000}})");
}
inline std::string simplePayload(const std::string& name, const std::string& digest) {
  return payload("atomic container signature", name, digest);
}
inline std::string sigstorePayload(const std::string& name, const std::string& digest) {
  return payload("cosign container image signature", name, digest);
}

}  // namespace berth::signatures::testing
