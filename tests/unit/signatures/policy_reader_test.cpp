// What makes a policy, and what makes none.
#include <fstream>

#include "policy_fixture.hpp"

namespace berth::signatures {
namespace {

using testing::forExample;
using ::testing::HasSubstr;
using testing::json64;
using testing::OpenPgpKey;
using testing::policyOf;
using testing::refusalOf;
using testing::TestKey;

const std::string kAccept = R"([{"type": "insecureAcceptAnything"}])";

std::string sigstore(const std::string& members) {
  return R"([{"type": "sigstoreSigned", )" + members + "}]";
}
std::string simple(const std::string& members) {
  return R"([{"type": "signedBy", "keyType": "GPGKeys", )" + members + "}]";
}

TEST(PolicyReader, ADefaultIsNeeded) {
  policyOf(R"({"default": [{"type": "reject"}]})");
  policyOf(R"({"default": [{"type": "reject"}], "transports": {}})");
  EXPECT_THAT(refusalOf("{}"), HasSubstr("signature policy /etc/policy.json: default: is missing"));
  EXPECT_THAT(refusalOf(R"({"default": []})"), HasSubstr("at least one requirement"));
  EXPECT_THAT(refusalOf(R"({"default": {}})"), HasSubstr("at least one requirement"));
  EXPECT_THAT(refusalOf(R"({"default": null})"), HasSubstr("at least one requirement"));
  EXPECT_THAT(refusalOf(""), HasSubstr("ends early"));
  EXPECT_THAT(refusalOf("[]"), HasSubstr("the policy: is no object"));
}

TEST(PolicyReader, NothingUnknown) {
  EXPECT_THAT(refusalOf(R"({"default": )" + kAccept + R"(, "defaults": []})"),
              HasSubstr("defaults: is not known here"));
  EXPECT_THAT(refusalOf(R"({"default": )" + kAccept + R"(, "default": )" + kAccept + "}"),
              HasSubstr("\"default\" is there twice"));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "reject", "x": 1}])")),
              HasSubstr("transports.docker.\"a.example\"[0].x: is not known here"));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "signedByMe"}])")),
              HasSubstr("\"a.example\"[0].type: \"signedByMe\" is not supported"));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "signedBaseLayer"}])")),
              HasSubstr("is not supported"));
  EXPECT_THAT(refusalOf(forExample(R"(["reject"])")), HasSubstr("[0]: is no object"));
  EXPECT_THAT(refusalOf(forExample(R"([{}])")), HasSubstr("[0]: has no \"type\""));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "reject"}, {"type": 1}])")),
              HasSubstr("[1].type: is no string"));
}

TEST(PolicyReader, Scopes) {
  const auto with = [](const std::string& transport, const std::string& scope) {
    return R"({"default": )" + kAccept + R"(, "transports": {")" + transport + R"(": {")" + scope +
           R"(": )" + kAccept + "}}}";
  };
  policyOf(with("docker", "*.example.com"));
  policyOf(with("somewhere", "any*thing"));
  EXPECT_THAT(refusalOf(with("docker", "a*.example")),
              HasSubstr("transports.docker.\"a*.example\": no image is ever in this scope"));
  EXPECT_THAT(refusalOf(with("oci", "relative")), HasSubstr("its path is not absolute"));
  EXPECT_THAT(refusalOf(with("docker-archive", "/a.tar")), HasSubstr("alone"));
  EXPECT_THAT(refusalOf(R"({"default": )" + kAccept + R"(, "transports": {"docker": {"A.b": )" +
                        kAccept + R"(, "a.b": )" + kAccept + "}}}"),
              HasSubstr("is there twice"));
}

TEST(PolicyReader, KeysOfSigstore) {
  const berth::testing::TemporaryDirectory folder;
  const TestKey key("EC");
  std::ofstream(folder / "key.pem") << key.pem();
  const std::string path = '"' + (folder / "key.pem") + '"';
  const std::string data = json64(key.pem());
  for (const std::string& members :
       {"\"keyPath\": " + path, "\"keyPaths\": [" + path + "," + path + "]", "\"keyData\": " + data,
        "\"keyDatas\": [" + data + "]"})
    policyOf(forExample(sigstore(members)));

  EXPECT_THAT(refusalOf(forExample(sigstore("\"signedIdentity\": {\"type\": \"matchExact\"}"))),
              HasSubstr("exactly one of keyPath, keyPaths, keyData, keyDatas"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyPath\": " + path + ", \"keyData\": " + data))),
              HasSubstr("exactly one of"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyPath\": " + path + ", \"keyData\": null"))),
              HasSubstr("is no string"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyPaths\": []"))), HasSubstr("no list with"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyPath\": \"/nonexistent/key\""))),
              HasSubstr("[0].keyPath: open /nonexistent/key: No such file"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyPath\": \"key.pem\""))),
              HasSubstr("is no absolute path"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyData\": \"%%%\""))), HasSubstr("is no base64"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyDatas\": [" + data + ",\"eA==\"]"))),
              HasSubstr("[0].keyDatas[1]: it is no public key"));
  EXPECT_THAT(refusalOf(forExample(sigstore("\"keyType\": \"GPGKeys\", \"keyData\": " + data))),
              HasSubstr("keyType: is not known here"));
}

TEST(PolicyReader, WhatNeedsALogIsRefused) {
  const std::string data = json64(TestKey("EC").pem());
  for (const std::string member : {"fulcio", "pki", "rekorPublicKeyPath", "rekorPublicKeyPaths",
                                   "rekorPublicKeyData", "rekorPublicKeyDatas"})
    EXPECT_THAT(
        refusalOf(forExample(sigstore("\"keyData\": " + data + ", \"" + member + "\": {}"))),
        HasSubstr("[0]." + member + ": certificates and transparency logs"));
}

TEST(PolicyReader, KeyringsOfSimpleSigning) {
  const berth::testing::TemporaryDirectory folder;
  const OpenPgpKey key("a signer");
  std::ofstream(folder / "keys.gpg") << key.exported();
  const std::string path = '"' + (folder / "keys.gpg") + '"';
  const std::string data = json64(key.armored());
  for (const std::string& members :
       {"\"keyPath\": " + path, "\"keyPaths\": [" + path + "]", "\"keyData\": " + data})
    policyOf(forExample(simple(members)));
  EXPECT_THAT(refusalOf(forExample(simple("\"keyDatas\": [" + data + "]"))),
              HasSubstr("keyDatas: is not known here"));
  EXPECT_THAT(refusalOf(forExample(simple("\"keyData\": " + json64(TestKey("EC").pem())))),
              HasSubstr("[0]: keyring 1 of 1: it holds no OpenPGP"));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "signedBy", "keyData": )" + data + "}]")),
              HasSubstr("has no \"keyType\""));
  EXPECT_THAT(refusalOf(forExample(R"([{"type": "signedBy", "keyType": "X509CAs", "keyData": )" +
                                   data + "}]")),
              HasSubstr("\"X509CAs\" is not supported"));
}

TEST(PolicyReader, Identities) {
  const std::string data = "\"keyData\": " + json64(TestKey("EC").pem());
  const auto with = [&](const std::string& identity) {
    return forExample(sigstore(data + ", \"signedIdentity\": " + identity));
  };
  for (const char* good :
       {R"({"type": "matchExact"})", R"({"type": "matchRepoDigestOrExact"})",
        R"({"type": "matchRepository"})",
        R"({"type": "exactReference", "dockerReference": "b.example/c:1"})",
        R"({"type": "exactRepository", "dockerRepository": "b.example/c"})",
        R"({"type": "remapIdentity", "prefix": "a.example", "signedPrefix": "b.example/c"})"})
    policyOf(with(good));
  EXPECT_THAT(refusalOf(with("null")), HasSubstr("[0].signedIdentity: is no object"));
  EXPECT_THAT(refusalOf(with("{}")), HasSubstr("has no \"type\""));
  EXPECT_THAT(refusalOf(with(R"({"type": "matchAnything"})")), HasSubstr("is not known"));
  EXPECT_THAT(refusalOf(with(R"({"type": "matchExact", "prefix": "a"})")),
              HasSubstr("signedIdentity.prefix: is not known here"));
  EXPECT_THAT(refusalOf(with(R"({"type": "exactReference", "dockerReference": "b.example/c"})")),
              HasSubstr("neither tag nor digest"));
  EXPECT_THAT(refusalOf(with(R"({"type": "exactRepository"})")),
              HasSubstr("has no \"dockerRepository\""));
  EXPECT_THAT(refusalOf(with(R"({"type": "remapIdentity", "prefix": "a", "signedPrefix": "b/c"})")),
              HasSubstr("in its complete form"));
}

TEST(PolicyReader, AFile) {
  const berth::testing::TemporaryDirectory folder;
  std::ofstream(folder / "policy.json") << R"({"default": [{"type": "reject"}]})";
  const auto policy = Policy::load(folder / "policy.json", testing::openPgp());
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ((*policy)->path(), folder / "policy.json");
  const auto missing = Policy::load(folder / "none.json", testing::openPgp());
  EXPECT_THAT(std::string(missing.status().message()),
              HasSubstr("read the signature policy: open"));
}

}  // namespace
}  // namespace berth::signatures
