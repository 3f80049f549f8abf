#include "signatures/payload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "keys.hpp"

namespace berth::signatures {
namespace {

using ::testing::HasSubstr;
using testing::sigstorePayload;
using testing::simplePayload;

const std::string kDigest = testing::digestOf('a');

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, text.npos) << what;
  return text.replace(at, what.size(), by);
}

std::string refusal(const std::string& text, PayloadKind kind = PayloadKind::kSigstore) {
  const auto claim = parsePayload(text, kind);
  EXPECT_FALSE(claim.ok()) << text;
  return std::string(claim.status().message());
}

TEST(Payload, SaysNameAndDigest) {
  for (const auto kind : {PayloadKind::kSimple, PayloadKind::kSigstore}) {
    const auto claim =
        parsePayload(kind == PayloadKind::kSimple ? simplePayload("a.example/b:1", kDigest)
                                                  : sigstorePayload("a.example/b:1", kDigest),
                     kind);
    ASSERT_TRUE(claim.ok()) << claim.status();
    EXPECT_EQ(claim->digest, kDigest);
    EXPECT_EQ(claim->name, "a.example/b:1");
  }
}

TEST(Payload, CosignsOptionalPartMayBeNull) {
  const std::string text = sigstorePayload("a.example/b", kDigest);
  const std::string bare = text.substr(0, text.find(",\"optional\"")) + ",\"optional\":null}";
  EXPECT_TRUE(parsePayload(bare, PayloadKind::kSigstore).ok());
  const std::string simple =
      replaced(bare, "cosign container image signature", "atomic container signature");
  EXPECT_THAT(refusal(simple, PayloadKind::kSimple), HasSubstr("\"optional\" is no object"));
}

TEST(Payload, OneKindIsNotTheOther) {
  EXPECT_THAT(refusal(simplePayload("a.example/b:1", kDigest)), HasSubstr("its type is not"));
  EXPECT_THAT(refusal(sigstorePayload("a.example/b:1", kDigest), PayloadKind::kSimple),
              HasSubstr("its type is not"));
}

TEST(Payload, WhatIsNotKnownMayMeanAnything) {
  const std::string good = sigstorePayload("a.example/b:1", kDigest);
  EXPECT_THAT(refusal(replaced(good, R"("critical":{)", R"("critical":{"not-for":"you",)")),
              HasSubstr("\"critical\" has other members"));
  EXPECT_THAT(refusal(replaced(good, R"("image":{)", R"("image":{"x":1,)")),
              HasSubstr("\"image\" has other members"));
  EXPECT_THAT(refusal(replaced(good, R"("identity":{)", R"("identity":{"x":1,)")),
              HasSubstr("\"identity\" has other members"));
  EXPECT_THAT(refusal("{\"x\":1," + good.substr(1)), HasSubstr("other members"));
  // What the signer says beside it is free.
  EXPECT_TRUE(parsePayload(replaced(good, R"("optional":{)", R"("optional":{"x":{"y":[]},)"),
                           PayloadKind::kSigstore)
                  .ok());
}

TEST(Payload, NothingIsThereTwice) {
  const std::string good = sigstorePayload("a.example/b:1", kDigest);
  const std::string other = testing::digestOf('b');
  EXPECT_THAT(refusal(replaced(good, R"("image":{)",
                               R"("image":{"docker-manifest-digest":")" + other + "\",")),
              HasSubstr("\"docker-manifest-digest\" is there twice"));
  EXPECT_THAT(refusal("{\"critical\":{}," + good.substr(1)),
              HasSubstr("\"critical\" is there twice"));
  EXPECT_THAT(
      refusal(replaced(good, R"("identity":{)", R"("identity":{"docker\u002dreference":"x",)")),
      HasSubstr("is there twice"))
      << "the same name, written otherwise";
}

TEST(Payload, HostileTexts) {
  const std::string good = sigstorePayload("a.example/b:1", kDigest);
  EXPECT_THAT(refusal(""), HasSubstr("ends early"));
  EXPECT_THAT(refusal("null"), HasSubstr("it is no object"));
  EXPECT_THAT(refusal("[]"), HasSubstr("it is no object"));
  EXPECT_THAT(refusal(good + good), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(good.substr(0, good.size() / 2)), HasSubstr("ends early"));
  EXPECT_THAT(refusal(std::string(1u << 20, '[')), HasSubstr("65536 bytes"));
  EXPECT_THAT(refusal(std::string(5000, '[')), HasSubstr("nested deeper"));
  EXPECT_THAT(refusal(replaced(good, kDigest, "sha256:abc")), HasSubstr("no SHA-256 digest"));
  EXPECT_THAT(refusal(replaced(good, '"' + kDigest + '"', "7")), HasSubstr("is no string"));
  EXPECT_THAT(refusal(replaced(good, R"("a.example/b:1")", "null")), HasSubstr("is no string"));
  EXPECT_THAT(refusal(replaced(good, "1700000000", "1.5")), HasSubstr("no whole number"));
  EXPECT_THAT(refusal(replaced(good, R"("a test")", "{}")), HasSubstr("\"creator\" is no string"));
  EXPECT_THAT(refusal(replaced(good, R"("critical":)", R"("Critical":)")),
              HasSubstr("no member \"critical\""));
}

}  // namespace
}  // namespace berth::signatures
