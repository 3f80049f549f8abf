#include "attachments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::registry {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string layer(const std::string& digest, const std::string& size,
                  const std::string& annotations,
                  const std::string& type = "application/vnd.dev.cosign.simplesigning.v1+json") {
  return support::strCat(R"({"mediaType": ")", type, R"(", "digest": ")", digest, R"(", "size": )",
                         size, R"(, "annotations": )", annotations, "}");
}
std::string manifest(const std::string& layers) {
  return R"({"schemaVersion": 2, "layers": [)" + layers + "]}";
}
const std::string kSigned = R"({"dev.cosignproject.cosign/signature": "c2ln"})";

TEST(Attachments, TagOfADigest) {
  EXPECT_EQ(attachmentTag(kDigest), "sha256-" + std::string(64, 'a') + ".sig");
}

TEST(Attachments, SignaturesOfLayers) {
  const auto found = parseAttachments(manifest(layer(kDigest, "240", kSigned)));
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_EQ(found->at(0).digest, kDigest);
  EXPECT_EQ(found->at(0).size, 240u);
  EXPECT_EQ(found->at(0).signature, "c2ln");
}

TEST(Attachments, OthersAreLeftOut) {
  for (const std::string& one :
       {layer(kDigest, "1", kSigned, "application/vnd.dsse.envelope.v1+json"),
        layer(kDigest, "1", "{}"), layer(kDigest, "1", "null"), layer(kDigest, "-1", kSigned),
        layer(kDigest, "\"1\"", kSigned), layer("sha256:../../x", "1", kSigned),
        layer(kDigest, "1", R"({"dev.cosignproject.cosign/signature": 7})"), std::string("7"),
        std::string("null")}) {
    const auto found = parseAttachments(manifest(one));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_THAT(*found, IsEmpty()) << one;
    EXPECT_THAT(*parseAttachments(manifest(one + "," + layer(kDigest, "1", kSigned))), SizeIs(1));
  }
}

TEST(Attachments, WhatIsNoManifest) {
  for (const char* text : {"", "[]", "{}", R"({"layers": {}})", R"({"manifests": []})"})
    EXPECT_TRUE(absl::IsDataLoss(parseAttachments(text).status())) << text;
  std::string many = layer(kDigest, "1", kSigned);
  for (int i = 0; i < 8; ++i) many += "," + many;
  EXPECT_TRUE(parseAttachments(manifest(many)).ok());
  EXPECT_THAT(std::string(parseAttachments(manifest(many + "," + many)).status().message()),
              HasSubstr("names 512 layers"));
}

}  // namespace
}  // namespace berth::registry
