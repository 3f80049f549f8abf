// Which images a policy accepts, and what it says of the others.
#include "policy_fixture.hpp"

namespace berth::signatures {
namespace {

using testing::digestOf;
using testing::forExample;
using ::testing::HasSubstr;
using testing::json64;
using testing::OpenPgpKey;
using testing::policyOf;
using testing::sigstorePayload;
using testing::simplePayload;
using testing::subject;
using testing::TestKey;

const std::string kName = "a.example/app:1";

class PolicyTest : public ::testing::Test {
 protected:
  static std::string refusal(const Policy& policy, const Subject& image) {
    const absl::Status checked = policy.check(image, {});
    EXPECT_TRUE(absl::IsPermissionDenied(checked)) << checked;
    return std::string(checked.message());
  }
  static bool accepts(const Policy& policy, const Subject& image) {
    return policy.check(image, {}).ok();
  }
  std::string sigstore(const std::string& more = "") const {
    return R"({"type": "sigstoreSigned", "keyData": )" + json64(key_.pem()) + more + "}";
  }
  std::string simple(const std::string& more = "") const {
    return R"({"type": "signedBy", "keyType": "GPGKeys", "keyData": )" +
           json64(openPgpKey_.exported()) + more + "}";
  }
  static Signature attached(const TestKey& key, const std::string& payload) {
    return {Signature::Kind::kSigstore, payload, key.signBase64(payload)};
  }
  static Signature message(const OpenPgpKey& key, const std::string& payload) {
    return {Signature::Kind::kSimple, key.sign(payload), ""};
  }

  const TestKey key_{"EC"};
  const TestKey otherKey_{"EC"};
  const OpenPgpKey openPgpKey_{"signer"};
  const OpenPgpKey otherOpenPgpKey_{"other"};
};

TEST_F(PolicyTest, TheNarrowestScopeCounts) {
  const auto policy = policyOf(R"({"default": [{"type": "reject"}], "transports": {
      "docker": {"a.example": [{"type": "reject"}],
                 "a.example/open": [{"type": "insecureAcceptAnything"}],
                 "a.example/open/app:bad": [{"type": "reject"}],
                 "*.example": [{"type": "insecureAcceptAnything"}]},
      "oci": {"/var/images": [{"type": "insecureAcceptAnything"}],
              "/var/images/bad": [{"type": "reject"}]},
      "dir": {"": [{"type": "insecureAcceptAnything"}]}}})");
  EXPECT_TRUE(accepts(*policy, subject("a.example/open/app:1")));
  EXPECT_TRUE(accepts(*policy, subject("b.example/app:1")));
  EXPECT_TRUE(accepts(*policy, subject("A.Example/open/app:1")));
  EXPECT_THAT(refusal(*policy, subject("a.example/open/app:bad")),
              HasSubstr("image a.example/open/app:bad is not accepted by /etc/policy.json, scope "
                        "docker \"a.example/open/app:bad\", requirement 1 (reject): it rejects "
                        "every image"));
  EXPECT_THAT(refusal(*policy, subject("A.EXAMPLE/app:1")), HasSubstr("docker \"a.example\""));
  EXPECT_THAT(refusal(*policy, subject("c.test/app:1")), HasSubstr("default, requirement 1"));
  Subject file = subject("a.example/open/app:1");
  file.transport = "oci";
  file.location = "/var/images/one";
  EXPECT_TRUE(accepts(*policy, file));
  file.location = "/var/images/bad";
  EXPECT_FALSE(accepts(*policy, file));
  file.location = "/var/imagesX";
  EXPECT_FALSE(accepts(*policy, file)) << "its name's scope is one of registries";
  file.transport = "dir";
  EXPECT_TRUE(accepts(*policy, file));
  file.transport = "unheard-of";
  EXPECT_FALSE(accepts(*policy, file));
}

TEST_F(PolicyTest, Sigstore) {
  const auto policy = policyOf(forExample("[" + sigstore() + "]"));
  const std::string good = sigstorePayload(kName, digestOf('a'));
  EXPECT_TRUE(accepts(*policy, subject(kName, {attached(key_, good)})));
  EXPECT_TRUE(accepts(*policy, subject("b.example/app:1")));
  // An index that the manifest has been found in is as good.
  EXPECT_TRUE(
      accepts(*policy, subject(kName, {attached(key_, sigstorePayload(kName, digestOf('b')))})));
  // One good one is enough.
  EXPECT_TRUE(accepts(*policy, subject(kName, {attached(otherKey_, good), attached(key_, good)})));

  EXPECT_THAT(refusal(*policy, subject(kName)), HasSubstr("no signature of that kind (sigstore)"));
  EXPECT_THAT(refusal(*policy, subject(kName, {attached(otherKey_, good)})),
              HasSubstr("signature 1: it is of no key of the policy"));
  EXPECT_THAT(
      refusal(*policy, subject(kName, {attached(key_, sigstorePayload(kName, digestOf('c')))})),
      HasSubstr("it is for another image, " + digestOf('c')));
  EXPECT_THAT(
      refusal(*policy,
              subject(kName, {attached(key_, sigstorePayload("a.example/app:2", digestOf('a')))})),
      HasSubstr("it is for the name \"a.example/app:2\""));
  Signature tampered = attached(key_, good);
  tampered.payload = sigstorePayload(kName, digestOf('b'));
  EXPECT_THAT(refusal(*policy, subject(kName, {tampered})), HasSubstr("no key of the policy"));
  tampered = attached(key_, good);
  tampered.signature = "no base64!";
  EXPECT_THAT(refusal(*policy, subject(kName, {tampered})), HasSubstr("no base64"));
  // A payload of the other kind, signed by the right key.
  EXPECT_THAT(
      refusal(*policy, subject(kName, {attached(key_, simplePayload(kName, digestOf('a')))})),
      HasSubstr("its type is not"));
}

TEST_F(PolicyTest, SaysWhichSignatureItAccepts) {
  const auto policy = policyOf(forExample("[" + sigstore() + "]"));
  const std::string good = sigstorePayload(kName, digestOf('a'));
  std::set<size_t> accepted;
  EXPECT_TRUE(policy
                  ->check(subject(kName, {attached(otherKey_, good), attached(key_, good),
                                          attached(key_, good)}),
                          {}, &accepted)
                  .ok());
  EXPECT_THAT(accepted, ::testing::ElementsAre(1u));
}

TEST_F(PolicyTest, LooksAtSixteenMessages) {
  const auto policy = policyOf(forExample("[" + simple() + "]"));
  const Signature good = message(openPgpKey_, simplePayload(kName, digestOf('a')));
  std::vector<Signature> many(15, {Signature::Kind::kSimple, "no message", ""});
  many.push_back(good);
  EXPECT_TRUE(accepts(*policy, subject(kName, many)));
  many.insert(many.begin(), {Signature::Kind::kSimple, "no message", ""});
  EXPECT_THAT(refusal(*policy, subject(kName, many)),
              HasSubstr("8 more; only the first 16 are looked at"));
}

TEST_F(PolicyTest, SimpleSigning) {
  const auto policy = policyOf(forExample("[" + simple() + "]"));
  const std::string good = simplePayload(kName, digestOf('a'));
  EXPECT_TRUE(accepts(*policy, subject(kName, {message(openPgpKey_, good)})));
  EXPECT_THAT(refusal(*policy, subject(kName)), HasSubstr("(simple signing)"));
  EXPECT_THAT(refusal(*policy, subject(kName, {message(otherOpenPgpKey_, good)})),
              HasSubstr("signature 1: it is of no key of the policy"));
  EXPECT_THAT(
      refusal(*policy, subject(kName, {message(openPgpKey_, simplePayload(kName, digestOf('c')))})),
      HasSubstr("it is for another image"));
  EXPECT_THAT(
      refusal(*policy, subject(kName, {message(openPgpKey_,
                                               simplePayload("b.example/app:1", digestOf('a')))})),
      HasSubstr("it is for the name"));
  EXPECT_THAT(refusal(*policy, subject(kName, {{Signature::Kind::kSimple, good, ""}})),
              HasSubstr("no OpenPGP message"));
  EXPECT_THAT(
      refusal(*policy,
              subject(kName, {message(openPgpKey_, sigstorePayload(kName, digestOf('a')))})),
      HasSubstr("its type is not"));
}

TEST_F(PolicyTest, AllRequirementsCount) {
  const auto policy = policyOf(forExample("[" + sigstore() + "," + simple() + "]"));
  const Signature one = attached(key_, sigstorePayload(kName, digestOf('a')));
  const Signature other = message(openPgpKey_, simplePayload(kName, digestOf('a')));
  EXPECT_TRUE(accepts(*policy, subject(kName, {one, other})));
  EXPECT_THAT(refusal(*policy, subject(kName, {one})), HasSubstr("requirement 2 (signedBy)"));
  EXPECT_THAT(refusal(*policy, subject(kName, {other})),
              HasSubstr("requirement 1 (sigstoreSigned)"));
  const auto never = policyOf(forExample("[" + sigstore() + R"(,{"type": "reject"}])"));
  EXPECT_THAT(refusal(*never, subject(kName, {one})), HasSubstr("requirement 2 (reject)"));
}

TEST_F(PolicyTest, AnyOfSeveralKeys) {
  const auto policy = policyOf(forExample(R"([{"type": "sigstoreSigned", "keyDatas": [)" +
                                          json64(otherKey_.pem()) + "," + json64(key_.pem()) +
                                          R"(], "signedIdentity": {"type": "matchRepository"}}])"));
  const std::string payload = sigstorePayload("a.example/app", digestOf('a'));
  EXPECT_TRUE(accepts(*policy, subject(kName, {attached(key_, payload)})));
  EXPECT_TRUE(accepts(*policy, subject(kName, {attached(otherKey_, payload)})));
}

TEST_F(PolicyTest, ManyReasonsAreCutShort) {
  const auto policy = policyOf(forExample("[" + sigstore() + "]"));
  const Signature wrong = attached(otherKey_, sigstorePayload(kName, digestOf('a')));
  const std::string message = refusal(*policy, subject(kName, std::vector<Signature>(100, wrong)));
  EXPECT_THAT(message, HasSubstr("signature 8: "));
  EXPECT_THAT(message, HasSubstr("92 more"));
  EXPECT_LT(message.size(), 1000u);
}

TEST_F(PolicyTest, WhetherSignaturesMatter) {
  EXPECT_TRUE(policyOf(forExample("[" + sigstore() + "]"))->needsSignatures(subject(kName)));
  EXPECT_FALSE(policyOf(forExample("[" + sigstore() + "]"))->needsSignatures(subject("b.c/d")));
  EXPECT_FALSE(policyOf(forExample("[" + sigstore() + R"(,{"type": "reject"}])"))
                   ->needsSignatures(subject(kName)));
}

TEST_F(PolicyTest, ACallThatIsOverIsNoRefusal) {
  const auto policy = policyOf(forExample("[" + simple() + "]"));
  support::RunLimits limits;
  limits.deadline = std::chrono::steady_clock::now();
  const Subject image = subject(kName, {message(openPgpKey_, simplePayload(kName, digestOf('a')))});
  EXPECT_TRUE(absl::IsDeadlineExceeded(policy->check(image, limits)));
}

}  // namespace
}  // namespace berth::signatures
