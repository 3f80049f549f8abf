#include "signatures/public_key.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys.hpp"

namespace berth::signatures {
namespace {

using ::testing::HasSubstr;
using testing::TestKey;

class PublicKeyTest : public ::testing::TestWithParam<const char*> {};

TEST_P(PublicKeyTest, VerifiesItsOwnSignatureAlone) {
  const TestKey key(GetParam());
  const TestKey other(GetParam());
  const auto parsed = PublicKey::parse(key.pem());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const std::string signature = key.sign("text");
  EXPECT_TRUE(parsed->verify("text", signature).ok());
  EXPECT_FALSE(parsed->verify("Text", signature).ok());
  EXPECT_FALSE(parsed->verify("", signature).ok());
  EXPECT_FALSE(parsed->verify("text", "").ok());
  EXPECT_FALSE(parsed->verify("text", signature + '\0').ok());
  EXPECT_FALSE(parsed->verify("text", signature.substr(1)).ok());
  EXPECT_FALSE(parsed->verify("text", other.sign("text")).ok());
  std::string changed = signature;
  changed[changed.size() - 1] = static_cast<char>(changed.back() ^ 1);
  EXPECT_FALSE(parsed->verify("text", changed).ok());
}

INSTANTIATE_TEST_SUITE_P(Kinds, PublicKeyTest, ::testing::Values("EC", "ED25519", "RSA"));

std::string refusal(std::string_view pem) {
  const auto key = PublicKey::parse(pem);
  EXPECT_FALSE(key.ok());
  return std::string(key.status().message());
}

TEST(PublicKey, OthersAreRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("no public key in PEM"));
  EXPECT_THAT(refusal("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
              HasSubstr("no public key in PEM"));
  EXPECT_THAT(refusal(TestKey("RSA", 1024).pem()), HasSubstr("1024 bits"));
  EXPECT_THAT(refusal(TestKey("X25519").pem()), HasSubstr("no ECDSA, Ed25519 or RSA key"));
  // Of two keys, the second one would silently not count.
  EXPECT_THAT(refusal(TestKey("EC").pem() + TestKey("EC").pem()), HasSubstr("more than one key"));
}

}  // namespace
}  // namespace berth::signatures
