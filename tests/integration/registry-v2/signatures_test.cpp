// Signatures: attached in the repository, and in a lookaside store.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using support::strCat;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;
using testing::SizeIs;

const std::string kImage = "sha256:" + std::string(64, 'a');
const std::string kTag = "sha256-" + std::string(64, 'a') + ".sig";

// A registry that has a signature of kImage in the repository "a", and nothing else.
Reply signedReply(const Received& request, const std::string& payload) {
  if (request.path == "/v2/a/manifests/" + kTag) {
    return manifestReply(
        strCat(R"({"schemaVersion":2,"mediaType":")", kManifestType, R"(","config":{"mediaType":")",
               kConfigType, R"(","digest":")", sha256("{}"), R"(","size":2},"layers":[{)",
               R"("mediaType":"application/vnd.dev.cosign.simplesigning.v1+json","digest":")",
               sha256(payload), R"(","size":)", payload.size(),
               R"(,"annotations":{"dev.cosignproject.cosign/signature":"c2ln"}}]})"));
  }
  if (request.path == "/v2/a/blobs/" + sha256(payload)) return blobReply(payload, request);
  return statusReply(404);
}

std::string table(const std::string& registry, const std::string& members) {
  return R"({"retries": 1, "registries": {")" + registry + "\": {" + members + "}}}";
}

TEST(Signatures, Attached) {
  ScriptedServer registry([](const Received& request) { return signedReply(request, "payload"); });
  PluginUnderTest plugin;
  const FoundSignatures found = plugin.signatures(registry.host() + "/a:1", kImage);
  ASSERT_TRUE(found.ok()) << found.message;
  EXPECT_THAT(found.sigstore, ElementsAre(Pair("payload", "c2ln")));
  EXPECT_THAT(found.simple, IsEmpty());
}

TEST(Signatures, NoneIsNoError) {
  ScriptedServer registry([](const Received&) { return statusReply(404); });
  ScriptedServer mirror([](const Received&) { return statusReply(404); });
  PluginUnderTest plugin;
  EXPECT_TRUE(plugin.signatures(registry.host() + "/a:1", kImage).ok());
  EXPECT_THAT(registry.requests(), SizeIs(1));
  PluginUnderTest mirrored(
      table("registry.invalid", "\"mirrors\": [\"" + mirror.origin() + "\"], \"fallback\": false"));
  const FoundSignatures found = mirrored.signatures("registry.invalid/a:1", kImage);
  EXPECT_TRUE(found.ok()) << found.message;
  EXPECT_THAT(found.sigstore, IsEmpty());
}

TEST(Signatures, ARegistryThatFailsHasPerhapsSome) {
  for (const int status : {403, 503}) {
    ScriptedServer registry([&](const Received&) { return statusReply(status); });
    PluginUnderTest plugin(table(registry.host(), ""));
    const FoundSignatures found = plugin.signatures(registry.host() + "/a:1", kImage);
    EXPECT_EQ(found.code, status == 403 ? BERTH_PERMISSION_DENIED : BERTH_UNAVAILABLE);
    EXPECT_THAT(found.message, HasSubstr("get the signatures " + kTag));
  }
}

TEST(Signatures, TheMirrorThatHasThemGivesThem) {
  ScriptedServer empty([](const Received&) { return statusReply(404); });
  ScriptedServer mirror([](const Received& request) { return signedReply(request, "mirrored"); });
  ScriptedServer registry([](const Received& request) { return signedReply(request, "own"); });
  PluginUnderTest plugin(table(
      registry.host(), "\"mirrors\": [\"" + empty.origin() + "\", \"" + mirror.origin() + "\"]"));
  const FoundSignatures found = plugin.signatures(registry.host() + "/a:1", kImage);
  ASSERT_TRUE(found.ok()) << found.message;
  EXPECT_THAT(found.sigstore, ElementsAre(Pair("mirrored", "c2ln")));
  EXPECT_THAT(registry.requests(), IsEmpty());
}

TEST(Signatures, PayloadsAreWhatTheirDigestsSay) {
  ScriptedServer registry([](const Received& request) {
    Reply reply = signedReply(request, "payload");
    if (request.path.find("/blobs/") != std::string::npos) reply.body = "PAYLOAD";
    return reply;
  });
  PluginUnderTest plugin(table(registry.host(), ""));
  const FoundSignatures found = plugin.signatures(registry.host() + "/a:1", kImage);
  EXPECT_EQ(found.code, BERTH_DATA_LOSS);
  EXPECT_THAT(found.sigstore, IsEmpty());
}

TEST(Signatures, LargeAnswersAreNotTaken) {
  const std::string large(200'000, 'x');
  ScriptedServer registry([&](const Received& request) { return signedReply(request, large); });
  PluginUnderTest plugin(table(registry.host(), ""));
  const FoundSignatures found = plugin.signatures(registry.host() + "/a:1", kImage);
  EXPECT_EQ(found.code, BERTH_RESOURCE_EXHAUSTED);
  EXPECT_THAT(found.message, HasSubstr("larger than 131072 bytes"));
}

TEST(Signatures, InALookasideStore) {
  ScriptedServer store([](const Received& request) {
    const std::string folder = "/store/a/b@sha256=" + std::string(64, 'a') + "/signature-";
    if (request.path == folder + "1") return blobReply("first", request);
    if (request.path == folder + "2")
      return blobReply(std::string("\0sigstore-json\n{}", 17), request);
    if (request.path == folder + "3") return blobReply("third", request);
    return statusReply(404);
  });
  ScriptedServer registry([](const Received&) { return statusReply(404); });
  PluginUnderTest plugin(table(registry.host(), "\"lookaside\": \"" + store.origin() + "/store\""));
  const TestCredentials secret{.username = "user", .password = "secret"};
  const FoundSignatures found =
      plugin.signatures(registry.host() + "/a/b:1", kImage, SIZE_MAX, secret);
  ASSERT_TRUE(found.ok()) << found.message;
  EXPECT_THAT(found.simple, ElementsAre("first", "third"));
  for (const Received& request : store.requests())
    EXPECT_EQ(request.header("authorization"), "") << "the store is not the registry";
}

TEST(Signatures, AStoreThatFailsOrHasNoEnd) {
  ScriptedServer registry([](const Received&) { return statusReply(404); });
  ScriptedServer failing([](const Received&) { return statusReply(500); });
  PluginUnderTest plugin(table(registry.host(), "\"lookaside\": \"" + failing.origin() + "\""));
  EXPECT_EQ(plugin.signatures(registry.host() + "/a:1", kImage).code, BERTH_UNAVAILABLE);
  EXPECT_THAT(failing.requests(), SizeIs(2)) << "once more, as the options say";

  ScriptedServer endless([](const Received& request) { return blobReply("x", request); });
  PluginUnderTest patient(table(registry.host(), "\"lookaside\": \"" + endless.origin() + "\""));
  FoundSignatures found = patient.signatures(registry.host() + "/a:1", kImage, 3);
  EXPECT_EQ(found.code, BERTH_RESOURCE_EXHAUSTED);
  EXPECT_THAT(found.simple, SizeIs(3));
  ScriptedServer hollow([](const Received& request) { return blobReply("", request); });
  PluginUnderTest other(table(registry.host(), "\"lookaside\": \"" + hollow.origin() + "\""));
  found = other.signatures(registry.host() + "/a:1", kImage);
  EXPECT_EQ(found.code, BERTH_RESOURCE_EXHAUSTED);
  EXPECT_THAT(found.message, HasSubstr("more than 256 signatures"));
}

}  // namespace
}  // namespace berth::registry_test
