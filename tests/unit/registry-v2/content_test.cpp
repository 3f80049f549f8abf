// Manifests' types and partial answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "blob.hpp"
#include "digest.hpp"
#include "manifest.hpp"

namespace berth::registry {
namespace {

constexpr const char* kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr const char* kDocker = "application/vnd.docker.distribution.manifest.v2+json";

TEST(MediaType, FromHeaderDocumentOrMembers) {
  EXPECT_EQ(*manifestMediaType(std::string(kDocker) + "; charset=utf-8",
                               R"({"schemaVersion":2,"config":{},"layers":[]})"),
            kDocker);
  EXPECT_EQ(*manifestMediaType("application/json",
                               R"({"mediaType":"application/vnd.oci.image.index.v1+json"})"),
            kOciIndex);
  EXPECT_EQ(*manifestMediaType("", R"({"schemaVersion":2,"manifests":[]})"), kOciIndex);
  EXPECT_EQ(*manifestMediaType("text/plain", R"({"schemaVersion":2,"config":{},"layers":[]})"),
            kOciManifest);
}

TEST(MediaType, Refused) {
  const auto code = [](const char* type, const char* document) {
    return manifestMediaType(type, document).status().code();
  };
  EXPECT_EQ(code("application/vnd.docker.distribution.manifest.v1+prettyjws", "{}"),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code("application/json", R"({"schemaVersion":1})"),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(code(kOciManifest, "<html>"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(kOciManifest, "[]"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code("text/html", "{}"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(kOciManifest, R"({"mediaType":"application/vnd.oci.image.index.v1+json"})"),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(kOciManifest, R"({"manifests":[]})"), absl::StatusCode::kDataLoss);
  EXPECT_EQ(code(kOciManifest, R"({"manifests":[],"layers":[]})"), absl::StatusCode::kDataLoss);
}

TEST(MediaType, WhatIsAManifest) {
  EXPECT_TRUE(isManifestType(kOciIndex));
  EXPECT_TRUE(isManifestType(kDocker));
  EXPECT_FALSE(isManifestType("application/vnd.oci.image.layer.v1.tar+gzip"));
}

TEST(ContentRange, Parsed) {
  const auto range = parseContentRange("bytes 5-9/10");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->first, 5u);
  EXPECT_EQ(range->last, 9u);
  EXPECT_EQ(range->total, 10u);
  EXPECT_EQ(parseContentRange("Bytes 0-0/*")->total, 0u);
  for (const char* bad : {"", "bytes", "bytes 5-9", "bytes 9-5/10", "bytes 5-10/10", "bytes */10",
                          "bytes -1-5/10", "lines 1-2/3",
                          "bytes 5-9/10 "
                          "x",
                          "bytes 99999999999999999999-1/2"})
    EXPECT_FALSE(parseContentRange(bad).ok()) << bad;
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(*digestOf("abc"),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digestOf("abc", "sha512:x")->substr(0, 23), "sha512:ddaf35a193617aba");
  EXPECT_TRUE(checkDigest(*digestOf("abc", "sha512:x")).ok());
}

}  // namespace
}  // namespace berth::registry
