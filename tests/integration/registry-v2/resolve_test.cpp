// References to documents, and the ways in which servers get that wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kLimit = 4u << 20;

TEST(Plugin, DescribesItself) {
  const berth_plugin& plugin = PluginUnderTest::description();
  EXPECT_EQ(std::string(plugin.name.data, plugin.name.size), "registry-v2");
  EXPECT_EQ(plugin.threading, BERTH_THREADING_PARALLEL);
  EXPECT_EQ(std::string(plugin.interface_id.data, plugin.interface_id.size),
            BERTH_IMAGE_SOURCE_INTERFACE);
}

TEST(Plugin, RefusesBadOptions) {
  try {
    PluginUnderTest plugin(R"({"registries": {"a.b": {"ca": "/nonexistent"}}})");
    FAIL() << "accepted";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("registries.\"a.b\".ca"));
  }
}

TEST(Resolve, ServesHostsOnly) {
  PluginUnderTest plugin;
  EXPECT_TRUE(plugin.serves("registry.example/a:1"));
  EXPECT_TRUE(plugin.serves("localhost/a:1"));
  EXPECT_FALSE(plugin.serves("oci-layout"));
  EXPECT_EQ(plugin.resolve("registry.example/UPPER:1").code, BERTH_INVALID_ARGUMENT);
}

TEST(Resolve, ByTagAndByDigest) {
  const std::string document = manifest("one");
  ScriptedServer server([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin;
  for (const std::string& target : {std::string(":1"), "@" + sha256(document)}) {
    TestOp op;
    const Outcome outcome = plugin.resolve(op, server.host() + "/team/app" + target, kLimit, {});
    ASSERT_TRUE(outcome.ok()) << outcome.message;
    EXPECT_EQ(outcome.bytes, document);
    EXPECT_EQ(outcome.digest, sha256(document));
    EXPECT_EQ(outcome.mediaType, kManifestType);
    EXPECT_THAT(op.stages(), testing::Contains(HasSubstr("resolve " + server.host())));
  }
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2u);
  EXPECT_EQ(requests[0].path, "/v2/team/app/manifests/1");
  EXPECT_EQ(requests[1].path, "/v2/team/app/manifests/" + sha256(document));
  for (const char* type :
       {kManifestType, kIndexType, "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json"})
    EXPECT_THAT(requests[0].header("accept"), HasSubstr(type));
  EXPECT_EQ(requests[0].header("authorization"), "");
  EXPECT_EQ(server.connections(), 1u) << "the connection was not kept";
}

TEST(Resolve, TheUserAgentIsThePluginOrAsConfigured) {
  ScriptedServer server([&](const Received&) { return manifestReply(manifest("one")); });
  EXPECT_TRUE(PluginUnderTest().resolve(server.host() + "/a:1").ok());
  EXPECT_TRUE(
      PluginUnderTest(R"({"user_agent": "node/1.0"})").resolve(server.host() + "/a:1").ok());
  EXPECT_THAT(server.requests().at(0).header("user-agent"), HasSubstr("registry-v2/"));
  EXPECT_EQ(server.requests().at(1).header("user-agent"), "node/1.0");
}

TEST(Resolve, ABlockedRegistryIsNotAsked) {
  ScriptedServer server([&](const Received&) { return manifestReply(manifest("one")); });
  PluginUnderTest plugin(R"({"registries": {")" + server.host() + R"(": {"blocked": true}}})");
  const Outcome outcome = plugin.resolve(server.host() + "/a:1");
  EXPECT_EQ(outcome.code, BERTH_PERMISSION_DENIED) << outcome.message;
  EXPECT_THAT(server.requests(), testing::IsEmpty());
}

TEST(Resolve, WrongDigestIsDataLoss) {
  ScriptedServer server([&](const Received&) { return manifestReply(manifest("other")); });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.resolve(server.host() + "/a@" + sha256("asked"));
  EXPECT_EQ(outcome.code, BERTH_DATA_LOSS);
  EXPECT_THAT(outcome.message, HasSubstr("not " + sha256("asked")));
}

TEST(Resolve, WrongClaimedDigestIsDataLoss) {
  ScriptedServer server([&](const Received&) {
    Reply reply = manifestReply(manifest("one"));
    reply.headers[1].second = sha256("two");
    return reply;
  });
  EXPECT_EQ(PluginUnderTest().resolve(server.host() + "/a:1").code, BERTH_DATA_LOSS);
}

TEST(Resolve, NotFoundCarriesTheRegistrysWords) {
  ScriptedServer server([](const Received&) {
    return statusReply(404, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"no\nsuch tag"}]})");
  });
  const Outcome outcome = PluginUnderTest().resolve(server.host() + "/a:1");
  EXPECT_EQ(outcome.code, BERTH_NOT_FOUND);
  EXPECT_THAT(outcome.message, HasSubstr(server.host() + "/a:1: not found"));
  EXPECT_THAT(outcome.message, HasSubstr(server.origin() + "/v2/a/manifests/1"));
  EXPECT_THAT(outcome.message, HasSubstr("MANIFEST_UNKNOWN: no such tag"));
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST(Resolve, DeniedIsPermissionDenied) {
  ScriptedServer server([](const Received&) { return statusReply(403); });
  EXPECT_EQ(PluginUnderTest().resolve(server.host() + "/a:1").code, BERTH_PERMISSION_DENIED);
}

TEST(Resolve, GiantManifests) {
  const std::string giant = "{\"x\":\"" + std::string(200'000, 'x') + "\"}";
  for (const bool declared : {true, false}) {
    ScriptedServer server([&](const Received&) {
      Reply reply = manifestReply(giant);
      if (!declared) reply.declaredLength = Reply::kUndeclared;
      return reply;
    });
    PluginUnderTest plugin;
    const Outcome outcome = plugin.resolve(TestOp(), server.host() + "/a:1", 100'000, {});
    EXPECT_EQ(outcome.code, BERTH_RESOURCE_EXHAUSTED) << outcome.message;
    EXPECT_THAT(outcome.message, HasSubstr("100000 bytes"));
  }
}

TEST(Resolve, WhatIsNoManifest) {
  const std::tuple<const char*, const char*, berth_code> cases[] = {
      {kManifestType, "{\"schemaVersion\":2,", BERTH_DATA_LOSS},
      {"text/html", "<html>Welcome to the hotel</html>", BERTH_DATA_LOSS},
      {"application/vnd.docker.distribution.manifest.v1+prettyjws", "{}",
       BERTH_FAILED_PRECONDITION},
      {kManifestType, "{\"manifests\":[],\"layers\":[]}", BERTH_DATA_LOSS},
  };
  for (const auto& [type, body, code] : cases) {
    ScriptedServer server([&, type = type, body = body](const Received&) {
      return Reply{.headers = {{"Content-Type", type}}, .body = body};
    });
    EXPECT_EQ(PluginUnderTest().resolve(server.host() + "/a:1").code, code) << body;
  }
}

TEST(Retry, TooManyRequestsThenGood) {
  const std::string document = manifest("one");
  int asked = 0;
  ScriptedServer server([&](const Received&) {
    Reply busy = statusReply(asked == 0 ? 429 : 503);
    if (asked == 0) busy.headers.emplace_back("Retry-After", "1");
    return asked++ < 2 ? busy : manifestReply(document);
  });
  const auto start = Clock::now();
  const Outcome outcome = PluginUnderTest().resolve(server.host() + "/a:1");
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_GE(Clock::now() - start, seconds(1)) << "Retry-After was not honoured";
}

TEST(Retry, GivesUpAfterTheConfiguredRepeats) {
  ScriptedServer server([](const Received&) { return statusReply(500, "<html>"); });
  PluginUnderTest plugin(R"({"retries": 1})");
  const Outcome outcome = plugin.resolve(server.host() + "/a:1");
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(outcome.message, HasSubstr("HTTP 500 Internal Server Error"));
  EXPECT_EQ(server.requests().size(), 2u);
}

TEST(Retry, NeverWaitsPastTheDeadline) {
  ScriptedServer server([](const Received&) {
    Reply reply = statusReply(429);
    reply.headers.emplace_back("Retry-After", "30");
    return reply;
  });
  PluginUnderTest plugin;
  const auto start = Clock::now();
  const Outcome outcome = plugin.resolve(TestOp(seconds(10)), server.host() + "/a:1", kLimit, {});
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(outcome.message, HasSubstr("due in 30 s"));
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST(Retry, ClosedConnectionsAreRepeated) {
  const std::string document = manifest("one");
  int asked = 0;
  ScriptedServer server([&](const Received&) {
    Reply reply = manifestReply(document);
    if (asked++ == 0) {
      reply.cut = 10;
      reply.ending = Reply::Ending::kClose;
    }
    return reply;
  });
  const Outcome outcome = PluginUnderTest().resolve(server.host() + "/a:1");
  EXPECT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, document);
}

TEST(Redirect, LoopsEnd) {
  ScriptedServer server([&](const Received& request) {
    Reply reply = statusReply(307);
    reply.headers.emplace_back("Location", request.path + "?token=secret");
    return reply;
  });
  const Outcome outcome = PluginUnderTest().resolve(server.host() + "/a:1");
  EXPECT_EQ(outcome.code, BERTH_DATA_LOSS);
  EXPECT_THAT(outcome.message, HasSubstr("redirected more than 5 times"));
  EXPECT_THAT(outcome.message, Not(HasSubstr("secret")));
  EXPECT_EQ(server.requests().size(), 6u);
}

TEST(Redirect, OnlyToHttp) {
  for (const char* location : {"file:///etc/passwd", "ftp://127.0.0.1/x", "http://u:secret@h/"}) {
    ScriptedServer server([&](const Received&) {
      Reply reply = statusReply(302);
      reply.headers.emplace_back("Location", location);
      return reply;
    });
    const Outcome outcome = PluginUnderTest().resolve(server.host() + "/a:1");
    EXPECT_EQ(outcome.code, BERTH_DATA_LOSS);
    EXPECT_THAT(outcome.message, HasSubstr("unusable address"));
    EXPECT_THAT(outcome.message, Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace berth::registry_test
