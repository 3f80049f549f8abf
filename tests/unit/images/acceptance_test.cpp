// Which images a signature policy lets in, and keeps in.
#include "../signatures/keys.hpp"
#include "image_service_fixture.hpp"
#include "images/short_names.hpp"
#include "records.pb.h"
#include "signatures/policy.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;

using signatures::testing::sigstorePayload;
using signatures::testing::TestKey;
using support::strCat;
using ::testing::AllOf;
using testing::gzip;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

const std::string kAccept = R"([{"type": "insecureAcceptAnything"}])";
const std::string kReject = R"([{"type": "reject"}])";

class AcceptanceTest : public testing::ImageServiceTest {
 protected:
  // The policy for a.example, and for images of layouts below /layouts.
  static std::shared_ptr<const signatures::Policy> policy(const std::string& requirements,
                                                          const std::string& layouts = kReject) {
    const auto parsed = signatures::Policy::parse(
        strCat(R"({"default": )", kReject, R"(, "transports": {"docker": {"a.example": )",
               requirements, R"(}, "oci": {"/layouts": )", layouts, "}}}"),
        "policy.json", signatures::OpenPgp("/nonexistent"));
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    return *parsed;
  }
  std::string signedBy(const TestKey& key) const {
    return strCat(R"([{"type": "sigstoreSigned", "keyData": ")",
                  std::string(absl::Base64Escape(key.pem())), "\"}]");
  }
  // Publishes an image of one layer; the digest of its manifest.
  std::string image(const std::string& name) const {
    publish(name, {two_}, {gzip(two_)});
    std::string digest;
    std::ifstream(blobs() + "/a.example_" + name) >> digest;
    return digest;
  }
  void sign(const std::string& digest, const std::string& name, const TestKey& key,
            int number = 1) const {
    const std::string payload = sigstorePayload("a.example/" + name, digest);
    write(strCat(digest, ".sigstore.", number), payload);
    write(strCat(digest, ".sigstore.", number, ".signature"), key.signBase64(payload));
  }
  std::string refusal(const std::string& name) {
    return std::string(pullFailure(name, absl::StatusCode::kUnknown));
  }
  std::string judged(const std::vector<std::string>& names) {
    const auto images = images_->list();
    EXPECT_THAT(images, SizeIs(1));
    const absl::Status checked = images_->checkAccepted(op_, *images.front(), names);
    EXPECT_TRUE(checked.ok() || absl::IsUnknown(checked)) << checked;
    return checked.ok() ? "" : std::string(checked.message());
  }
  records::ImageRecord record() {
    const auto stored = *store_->list("image");
    EXPECT_THAT(stored, SizeIs(1));
    records::ImageRecord one;
    EXPECT_TRUE(one.ParseFromString(stored.at(0).value));
    return one;
  }

  const TestKey key_{"EC"};
  const TestKey other_{"EC"};
};

TEST_F(AcceptanceTest, WithoutAPolicyNobodyIsAsked) {
  sign(image("app:1"), "app:1", key_);
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(count("signatures"), 0u);
  EXPECT_EQ(record().signatures_size(), 0);
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, WhereAnImageComesFromIsKeptWithoutAPolicyToo) {
  image("app:1");
  write("origin", "/layouts/one");
  ASSERT_TRUE(pull("app:1").ok());
  images_->judgeBy(policy(kReject, kAccept));
  EXPECT_EQ(judged({"a.example/app:1"}), "");
  images_->judgeBy(policy(kAccept, kReject));
  EXPECT_THAT(judged({"a.example/app:1"}), HasSubstr("scope oci \"/layouts\""));
}

TEST_F(AcceptanceTest, LayersOfArtifactsAreNotFetchedToBeRefused) {
  const std::string layer = gzip(two_);
  publishArtifact("model:1", "application/vnd.oci.image.layer.v1.tar+gzip", {layer});
  images_->judgeBy(policy(kReject));
  EXPECT_THAT(refusal("model:1"), HasSubstr("(reject)"));
  EXPECT_EQ(count(strCat("fetch blob=", sha256(layer))), 0u);
  images_->judgeBy(policy(kAccept));
  EXPECT_TRUE(pull("model:1").ok());
}

TEST_F(AcceptanceTest, IdsOfTheOtherAlgorithmAreNoNames) {
  const auto wide = [](const std::string& bytes) { return digestLike("sha512:", bytes); };
  const std::string layer = gzip(two_);
  const std::string config = strCat(
      R"({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [")", wide(two_), R"("]}})");
  const std::string manifest =
      strCat(R"({"schemaVersion": 2, "config": )", descriptor(wide(config), config.size()),
             R"(, "layers": [)", descriptor(wide(layer), layer.size()), "]}");
  for (const std::string* bytes : {&config, &manifest, &layer}) write(wide(*bytes), *bytes);
  write("a.example_app:1", wide(manifest));
  images_->judgeBy(policy(kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(judged({wide(config)}), "");
  EXPECT_EQ(judged({wide(config).substr(7, 12)}), "");
}

TEST_F(AcceptanceTest, TheAcceptedSignatureIsKeptFirst) {
  const std::string digest = image("app:1");
  sign(digest, "app:1", other_, 1);
  sign(digest, "app:1", key_, 2);
  images_->judgeBy(policy(signedBy(key_)));
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_EQ(record().signatures_size(), 2);
  std::string accepted;
  std::ifstream(strCat(blobs(), "/", digest, ".sigstore.2.signature")) >> accepted;
  EXPECT_EQ(record().signatures(0).signature(), accepted);
}

TEST_F(AcceptanceTest, RefusedBeforeItsLayersAreFetched) {
  const std::string digest = image("app:1");
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_THAT(refusal("app:1"),
              StartsWith("SignatureValidationFailed: image a.example/app:1 is not accepted by "
                         "policy.json, scope docker \"a.example\", requirement 1 (sigstoreSigned): "
                         "the image has no signature"));
  sign(digest, "app:2", key_);
  EXPECT_THAT(refusal("app:1"), HasSubstr("it is for the name \"a.example/app:2\""));
  EXPECT_THAT(layers(), SizeIs(0));
  sign(digest, "app:1", other_, 2);
  sign(digest, "app:1", key_, 3);
  ASSERT_TRUE(pull("app:1").ok());
}

TEST_F(AcceptanceTest, WhatRejectsAsksNobody) {
  image("app:1");
  images_->judgeBy(policy(kReject));
  EXPECT_THAT(refusal("app:1"), HasSubstr("requirement 1 (reject)"));
  EXPECT_EQ(count("signatures"), 0u);
}

TEST_F(AcceptanceTest, SignaturesThatCannotBeGotAreMissedWhereTheyAreNeeded) {
  sign(image("app:1"), "app:1", key_);
  write("no-signatures", "");
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kUnavailable),
              HasSubstr("get the signatures of a.example/app:1: not now"));
  images_->judgeBy(policy(kAccept));
  EXPECT_TRUE(pull("app:1").ok());
}

TEST_F(AcceptanceTest, KeptForLater) {
  sign(image("app:1"), "app:1", key_);
  images_->judgeBy(policy(kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(record().signatures_size(), 1);
  ASSERT_EQ(record().origins_size(), 1);
  EXPECT_EQ(record().origins(0).transport(), "docker");
  for (const bool again : {false, true}) {
    if (again) open();
    images_->judgeBy(policy(signedBy(key_)));
    EXPECT_EQ(judged({"a.example/app:1"}), "");
    images_->judgeBy(policy(signedBy(other_)));
    EXPECT_THAT(judged({"a.example/app:1"}),
                StartsWith("SignatureValidationFailed: image a.example/app:1 is not accepted"));
    images_->judgeBy(policy(kReject));
    EXPECT_THAT(judged({"a.example/app:1"}), HasSubstr("(reject)"));
    images_->judgeBy(nullptr);
    EXPECT_EQ(judged({"a.example/app:1"}), "");
  }
  // Another pull brings nothing new.
  images_->judgeBy(policy(kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(record().signatures_size(), 1);
  EXPECT_EQ(record().origins_size(), 1);
}

TEST_F(AcceptanceTest, ThePolicyOfTheStart) {
  image("app:1");
  policy_ = policy(kReject);
  open();
  EXPECT_THAT(refusal("app:1"), HasSubstr("(reject)"));
}

TEST_F(AcceptanceTest, NamesAndIds) {
  const std::string digest = image("app:1");
  write("a.example_other:1", digest);
  sign(digest, "app:1", key_);
  ASSERT_TRUE(pull("other:1").ok());
  images_->judgeBy(policy(kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  images_->judgeBy(policy(signedBy(key_)));
  const std::string id = images_->list().front()->id;
  EXPECT_EQ(judged({"a.example/app:1"}), "");
  EXPECT_EQ(judged({"a.example/app@" + digest}), "");
  EXPECT_THAT(judged({"a.example/other:1"}), HasSubstr("it is for the name"));
  // By its id, any of its names will do; each name that is given has to.
  EXPECT_EQ(judged({id}), "");
  EXPECT_EQ(judged({id.substr(7, 12), ""}), "");
  EXPECT_EQ(judged({id, "a.example/app:1"}), "");
  EXPECT_THAT(judged({id, "a.example/other:1"}), HasSubstr("it is for the name"));
  EXPECT_THAT(judged({"a.example/app:1", "a.example/other:1"}), HasSubstr("it is for the name"));
  EXPECT_THAT(judged({id, "b.example/app:1"}), HasSubstr("default, requirement 1 (reject)"));
  images_->judgeBy(policy(signedBy(other_)));
  EXPECT_THAT(judged({id}), HasSubstr("no key of the policy"));
}

TEST_F(AcceptanceTest, AnIndexMayBeSigned) {
  const std::string manifest = image("app:1");
  const auto size = fs::file_size(blobs() + "/" + manifest);
  const std::string index = blob(strCat(
      R"({"schemaVersion": 2, "manifests": [{"mediaType": "x", "digest": ")", manifest,
      R"(", "size": )", size, R"(, "platform": {"os": "linux", "architecture": "amd64"}}]})"));
  write("a.example_app:1", index);
  sign(index, "app:1", key_);
  images_->judgeBy(policy(signedBy(key_)));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(judged({"a.example/app:1"}), "");
  open();
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, WhatLiesOnTheNodeIsJudgedByItsPath) {
  image("app:1");
  write("origin", "/layouts/one");
  images_->judgeBy(policy(kAccept, kReject));
  EXPECT_THAT(refusal("app:1"), HasSubstr("scope oci \"/layouts\""));
  images_->judgeBy(policy(kReject, kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(record().origins(0).location(), "/layouts/one");
  EXPECT_EQ(judged({"a.example/app:1"}), "");
  images_->judgeBy(policy(kAccept, kReject));
  EXPECT_THAT(judged({"a.example/app:1"}), HasSubstr("scope oci \"/layouts\""));
  // It may have come by its name from either place.
  fs::remove(blobs() + "/origin");
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, ShortNamesAreJudgedByTheOneThatTheImageHas) {
  const auto complete = [this](const std::vector<std::string>& registries) {
    images_->completeBy(std::make_shared<const ShortNames>(registries, std::vector<std::string>()));
  };
  image("app:1");
  images_->judgeBy(policy(kAccept));
  complete({"b.example", "a.example"});
  ASSERT_TRUE(images_->pull(op_, "app:1", nullptr, {}, nullptr).ok());
  EXPECT_EQ(judged({"app:1"}), "");
  images_->judgeBy(policy(kReject));
  EXPECT_THAT(judged({"app:1"}), HasSubstr("(reject)"));
  const auto refused = images_->pull(op_, "app:1", nullptr, {}, nullptr);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(StartsWith("SignatureValidationFailed"), HasSubstr("b.example/app:1")));
  images_->judgeBy(policy(kAccept));
  complete({"b.example"});
  EXPECT_THAT(judged({"app:1"}), HasSubstr("(reject)"));
}

TEST_F(AcceptanceTest, RecordsOfBeforeAreOfRegistries) {
  image("app:1");
  ASSERT_TRUE(pull("app:1").ok());
  records::ImageRecord old = record();
  old.clear_origins();
  ASSERT_TRUE(store_->put("image", old.id(), old.SerializeAsString()).ok());
  open();
  images_->judgeBy(policy(kAccept));
  EXPECT_EQ(judged({"a.example/app:1"}), "");
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_THAT(judged({"a.example/app:1"}), HasSubstr("the image has no signature"));
}

TEST_F(AcceptanceTest, APullBringsSoManySignaturesAndTheAcceptedOne) {
  const std::string digest = image("app:1");
  for (int number = 1; number <= 60; ++number) sign(digest, strCat("x", number), other_, number);
  sign(digest, "app:1", key_, 61);
  images_->judgeBy(policy(signedBy(key_)));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(record().signatures_size(), 32);
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, OneRepositoryDoesNotDriveOutTheSignaturesOfAnother) {
  sign(image("app:1"), "app:1", key_);
  images_->judgeBy(policy(signedBy(key_)));
  ASSERT_TRUE(pull("app:1").ok());
  images_->judgeBy(policy(kAccept));
  const std::string text = config({two_});
  const std::string layer = gzip(two_);
  for (int number = 1; number <= 10; ++number) {
    const std::string manifest =
        strCat(R"({"schemaVersion": 2, "number": )", number, R"(, "config": )",
               descriptor(sha256(text), text.size()), R"(, "layers": [)",
               descriptor(sha256(layer), layer.size()), "]}");
    const std::string name = strCat("evil:", number);
    write("a.example_" + name, blob(manifest));
    for (int one = 1; one <= 40; ++one) sign(sha256(manifest), strCat(name, "x", one), other_, one);
    ASSERT_TRUE(pull(name).ok());
  }
  EXPECT_LE(record().signatures_size(), 65);
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, APullReplacesItsOwnSignatures) {
  const std::string digest = image("app:1");
  sign(digest, "app:1", other_);
  images_->judgeBy(policy(kAccept));
  ASSERT_TRUE(pull("app:1").ok());
  sign(digest, "app:1", key_);
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_EQ(record().signatures_size(), 1);
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_EQ(judged({"a.example/app:1"}), "");
}

TEST_F(AcceptanceTest, MoreSignaturesThanAnybodyMakes) {
  const std::string digest = image("app:1");
  for (int number = 1; number <= 129; ++number) sign(digest, "app:1", key_, number);
  images_->judgeBy(policy(signedBy(key_)));
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kResourceExhausted),
              HasSubstr("are more than 128"));
}

}  // namespace
}  // namespace berth::images
