#include "challenge.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::registry {
namespace {

TEST(Challenge, BearerWithQuotedParameters) {
  const auto found = parseChallenges(
      R"(Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push")");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].scheme, "bearer");
  EXPECT_EQ(found[0].parameter("realm"), "https://auth.example/token");
  EXPECT_EQ(found[0].parameter("service"), "registry.example");
  EXPECT_EQ(found[0].parameter("scope"), "repository:a/b:pull,push");
  EXPECT_EQ(found[0].parameter("error"), "");
}

TEST(Challenge, SeveralInOneHeader) {
  const auto found = parseChallenges(
      R"(Negotiate, NTLM dGVzdA==, BASIC Realm = "a, Bearer b" , charset=UTF-8,, Bearer realm="x")");
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].scheme, "negotiate");
  EXPECT_EQ(found[1].scheme, "ntlm");
  EXPECT_TRUE(found[1].parameters.empty());
  EXPECT_EQ(found[2].scheme, "basic");
  EXPECT_EQ(found[2].parameter("realm"), "a, Bearer b");
  EXPECT_EQ(found[2].parameter("charset"), "UTF-8");
  EXPECT_EQ(found[3].scheme, "bearer");
  EXPECT_EQ(found[3].parameter("realm"), "x");
}

TEST(Challenge, EscapesInQuotedStrings) {
  const auto found = parseChallenges(R"(Basic realm="say \"hi\\\"")");
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].parameter("realm"), R"(say "hi\")");
}

TEST(Challenge, MalformedEndsTheList) {
  EXPECT_TRUE(parseChallenges("").empty());
  EXPECT_TRUE(parseChallenges(" , ,").empty());
  EXPECT_TRUE(parseChallenges("\"quoted\"").empty());
  EXPECT_TRUE(parseChallenges("realm=\"x\"").empty());
  const auto cut = parseChallenges(R"(Bearer realm="x", service="never closed)");
  ASSERT_EQ(cut.size(), 1u);
  EXPECT_EQ(cut[0].parameter("realm"), "x");
  EXPECT_EQ(cut[0].parameter("service"), "");
  const auto escape = parseChallenges("Bearer realm=\"x\\");
  ASSERT_EQ(escape.size(), 1u);
  EXPECT_TRUE(escape[0].parameters.empty());
}

// Every prefix and every byte changed: ends, and never reads beyond the text (sanitizers).
TEST(Challenge, SurvivesAnyBytes) {
  const std::string text = R"(NTLM abc/==, Bearer realm="https://a\"b", x = y, Basic realm=z)";
  for (size_t length = 0; length <= text.size(); ++length)
    EXPECT_LE(parseChallenges(std::string_view(text).substr(0, length)).size(), 3u);
  for (size_t i = 0; i < text.size(); ++i) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = text;
      changed[i] = static_cast<char>(byte);
      EXPECT_LE(parseChallenges(changed).size(), 8u);
    }
  }
}

}  // namespace
}  // namespace berth::registry
