#include "credentials.hpp"

#include <gtest/gtest.h>

#include "berth/plugin.hpp"
#include "token.hpp"

namespace berth::registry {
namespace {

berth_credentials given() {
  return detail::known(static_cast<const berth_credentials*>(nullptr));
}

TEST(Credentials, UserAndPassword) {
  berth_credentials c = given();
  c.username = str("Aladdin");
  c.password = str("open sesame");
  const auto read = readCredentials(c);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->basic(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST(Credentials, Auth) {
  berth_credentials c = given();
  c.auth = str("QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
  const auto read = readCredentials(c);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->username, "Aladdin");
  EXPECT_EQ(read->password, "open sesame");
}

TEST(Credentials, BadAuthIsRefusedWithoutBeingQuoted) {
  for (const char* auth : {"c2VjcmV0", "%%%%", "secret", "====", "OnNlY3JldA=="}) {
    berth_credentials c = given();
    c.auth = str(auth);
    const auto read = readCredentials(c);
    EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument) << auth;
    EXPECT_EQ(read.status().message().find("ecret"), absl::string_view::npos);
  }
}

TEST(Credentials, TokensThatBreakHeadersAreRefused) {
  berth_credentials c = given();
  c.registry_token = str("a\r\nX-Evil: 1");
  EXPECT_FALSE(readCredentials(c).ok());
  c.registry_token = str("abc.def-_~+/=");
  EXPECT_TRUE(readCredentials(c).ok());
}

TEST(Credentials, DockersHiddenIdentityToken) {
  berth_credentials c = given();
  c.username = str("<token>");
  c.password = str("refresh");
  const auto read = readCredentials(c);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->identityToken, "refresh");
  EXPECT_TRUE(read->username.empty());
}

TEST(Credentials, ServerAddress) {
  berth_credentials c = given();
  c.username = str("u");
  EXPECT_TRUE(readCredentials(c)->areFor("any.example"));
  c.server_address = str("https://index.docker.io/v1/");
  EXPECT_TRUE(readCredentials(c)->areFor("docker.io"));
  EXPECT_FALSE(readCredentials(c)->areFor("registry.example"));
  c.server_address = str("Registry.example:5000");
  EXPECT_TRUE(readCredentials(c)->areFor("registry.example:5000"));
  EXPECT_FALSE(readCredentials(c)->areFor("registry.example"));
}

TEST(Credentials, IdentityTellsUsersApart) {
  const auto identityOf = [](const char* username, const char* password) {
    berth_credentials c = given();
    c.username = str(username);
    c.password = str(password);
    const auto read = readCredentials(c);
    return read.ok() ? read->identity() : std::string();
  };
  EXPECT_NE(identityOf("ab", "c"), identityOf("a", "bc"));
  EXPECT_EQ(identityOf("ab", "c"), identityOf("ab", "c"));
}

TEST(Token, Read) {
  const auto now = std::chrono::steady_clock::now();
  const auto token = readToken(R"({"token":"t","access_token":"u","expires_in":300})", now);
  ASSERT_TRUE(token.ok()) << token.status();
  EXPECT_EQ(token->value, "t");
  EXPECT_EQ(token->renewAt - now, std::chrono::seconds(270));
  EXPECT_EQ(readToken(R"({"access_token":"u"})", now)->renewAt - now, std::chrono::seconds(48));
  EXPECT_EQ(readToken(R"({"token":"u","expires_in":5})", now)->renewAt - now,
            std::chrono::seconds(4));
  EXPECT_LE(readToken(R"({"token":"u","expires_in":9223372036854775807})", now)->renewAt - now,
            std::chrono::hours(24));
}

TEST(Token, Refused) {
  const auto now = std::chrono::steady_clock::now();
  for (const char* body : {"", "[]", "{}", R"({"token":""})", R"({"token":1})",
                           R"({"token":"secret\r\nX: y"})", R"({"token":"secret)"}) {
    const auto token = readToken(body, now);
    EXPECT_EQ(token.status().code(), absl::StatusCode::kDataLoss) << body;
    EXPECT_EQ(token.status().message().find("secret"), absl::string_view::npos);
  }
}

}  // namespace
}  // namespace berth::registry
