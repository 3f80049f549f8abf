// Challenges, tokens, and where credentials may and may not go.
#include <algorithm>
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kBasic = "Basic dXNlcjpodW50ZXIy";  // user:hunter2
const TestCredentials kUser{.username = "user", .password = "hunter2"};

// A registry with a token server beside it. Tokens are "secret-token-1", "secret-token-2", …; the
// registry takes only the newest.
class TokenRegistry {
 public:
  std::string document = manifest("one");
  std::string blob = noise(100'000, 3);
  long lifetime = 300;
  bool anonymousAllowed = false;
  int issued = 0;

  ScriptedServer tokens{[this](const Received& request) { return issue(request); }};
  ScriptedServer registry{[this](const Received& request) { return serve(request); }};

  std::string reference() const { return registry.host() + "/team/app:1"; }
  std::string current() const { return "secret-token-" + std::to_string(issued); }

 private:
  Reply issue(const Received& request) {
    const bool refresh = request.method == "POST" &&
                         request.body.find("refresh_token=secret-refresh") != std::string::npos &&
                         request.body.find("grant_type=refresh_token") != std::string::npos;
    const bool user = request.header("authorization") == kBasic;
    const bool anonymous = anonymousAllowed && request.header("authorization").empty();
    if (!refresh && !user && !anonymous)
      return statusReply(401, R"({"details":"incorrect username or password"})");
    ++issued;
    return {.body = "{\"token\":\"" + current() + "\",\"expires_in\":" + std::to_string(lifetime) +
                    "}"};
  }
  Reply serve(const Received& request) {
    if (request.header("authorization") != "Bearer " + current()) {
      Reply reply = statusReply(401, R"({"errors":[{"code":"UNAUTHORIZED"}]})");
      reply.headers.emplace_back("WWW-Authenticate", "Negotiate");
      reply.headers.emplace_back("WWW-Authenticate", "bearer realm=\"" + tokens.origin() +
                                                         "/token\",service=\"the registry\","
                                                         "scope=\"repository:team/app:pull\"");
      return reply;
    }
    return request.path.find("/blobs/") != std::string::npos ? blobReply(blob, request)
                                                             : manifestReply(document);
  }
};

void expectNoSecrets(const PluginUnderTest& plugin, const std::string& message) {
  for (const std::string& text : {plugin.log(), message})
    for (const char* secret : {"hunter2", "dXNlcjpodW50ZXIy", "secret-"})
      EXPECT_THAT(text, Not(HasSubstr(secret)));
}

TEST(Token, AskedForOnceAndKept) {
  TokenRegistry site;
  PluginUnderTest plugin;
  const Outcome resolved = plugin.resolve(site.reference(), kUser);
  ASSERT_TRUE(resolved.ok()) << resolved.message;
  const Outcome fetched = plugin.fetch(site.reference(), describe(site.blob), 0, kUser);
  ASSERT_TRUE(fetched.ok()) << fetched.message;
  EXPECT_EQ(fetched.bytes, site.blob);
  const auto asked = site.tokens.requests();
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].path, "/token");
  EXPECT_EQ(asked[0].query,
            "service=the%20registry&scope=repository%3Ateam%2Fapp%3Apull&account=user");
  // The first without a token, then each with it at once.
  const auto requests = site.registry.requests();
  ASSERT_EQ(requests.size(), 3u);
  EXPECT_EQ(requests[0].header("authorization"), "");
  EXPECT_EQ(requests[2].header("authorization"), "Bearer secret-token-1");
  expectNoSecrets(plugin, resolved.message);
}

TEST(Token, AStrangeRegistryDoesNotGetWhatTheNodeMayHaveElsewhere) {
  TokenRegistry site;
  site.anonymousAllowed = true;
  PluginUnderTest plugin(R"({"registries": {")" + site.tokens.host() +
                         R"(": {"headers": {"X-Key": "secret-key"}}}})");
  // The same registry by the name of another host.
  std::string reference = site.reference();
  reference.replace(0, reference.find(':'), "localhost");
  const Outcome strange = plugin.resolve(reference);
  ASSERT_TRUE(strange.ok()) << strange.message;
  EXPECT_EQ(site.tokens.requests().back().header("x-key"), "");
  ASSERT_TRUE(plugin.resolve(site.reference()).ok());
  EXPECT_EQ(site.tokens.requests().back().header("x-key"), "secret-key");
}

TEST(Token, OneThatExpiredOnTheWayIsReplaced) {
  TokenRegistry site;
  PluginUnderTest plugin;
  ASSERT_TRUE(plugin.resolve(site.reference(), kUser).ok());
  ++site.issued;  // the registry takes the old token no more
  const Outcome fetched = plugin.fetch(site.reference(), describe(site.blob), 0, kUser);
  ASSERT_TRUE(fetched.ok()) << fetched.message;
  EXPECT_EQ(site.tokens.requests().size(), 2u);
}

TEST(Token, OneAboutToExpireIsRenewedBeforeItIsUsed) {
  TokenRegistry site;
  site.lifetime = 1;
  PluginUnderTest plugin;
  ASSERT_TRUE(plugin.resolve(site.reference(), kUser).ok());
  // The next call renews as soon as the token's time is over; no request goes out with the old one.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (site.tokens.requests().size() < 2 && std::chrono::steady_clock::now() < end)
    ASSERT_TRUE(plugin.resolve(site.reference(), kUser).ok());
  EXPECT_EQ(site.tokens.requests().size(), 2u);
  const auto requests = site.registry.requests();
  EXPECT_EQ(std::count_if(requests.begin(), requests.end(),
                          [](const Received& r) { return r.header("authorization").empty(); }),
            1);
}

TEST(Token, UsersDoNotShareThem) {
  TokenRegistry site;
  PluginUnderTest plugin;
  ASSERT_TRUE(plugin.resolve(site.reference(), kUser).ok());
  const Outcome stranger = plugin.resolve(
      site.reference(), TestCredentials{.username = "user", .password = "secret-wrong"});
  EXPECT_EQ(stranger.code, BERTH_UNAUTHENTICATED);
  EXPECT_THAT(stranger.message, HasSubstr("incorrect username or password"));
  EXPECT_EQ(plugin.resolve(site.reference()).code, BERTH_UNAUTHENTICATED);
  expectNoSecrets(plugin, stranger.message);
}

TEST(Token, AnonymousWhereThatIsAllowed) {
  TokenRegistry site;
  site.anonymousAllowed = true;
  const Outcome outcome = PluginUnderTest().resolve(site.reference());
  EXPECT_TRUE(outcome.ok()) << outcome.message;
}

TEST(Token, FromARefreshToken) {
  TokenRegistry site;
  PluginUnderTest plugin;
  const Outcome outcome =
      plugin.resolve(site.reference(), TestCredentials{.identityToken = "secret-refresh"});
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(site.tokens.requests().at(0).header("authorization"), "");
  EXPECT_THAT(site.tokens.requests().at(0).body, HasSubstr("service=the%20registry"));
  expectNoSecrets(plugin, outcome.message);
}

TEST(Token, TheCallersOwn) {
  TokenRegistry site;
  site.issued = 7;
  PluginUnderTest plugin;
  const Outcome outcome =
      plugin.resolve(site.reference(), TestCredentials{.registryToken = "secret-token-7"});
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(site.tokens.requests().size(), 0u);
}

TEST(Token, GarbageFromTheTokenServer) {
  for (const char* body : {"<html>", "{}", "{\"token\":\"secret-a\\r\\nX-Evil: 1\"}"}) {
    ScriptedServer tokens([&](const Received&) { return Reply{.body = body}; });
    ScriptedServer registry([&](const Received&) {
      Reply reply = statusReply(401);
      reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"" + tokens.origin() + "\"");
      return reply;
    });
    PluginUnderTest plugin;
    const Outcome outcome = plugin.resolve(registry.host() + "/a:1");
    EXPECT_EQ(outcome.code, BERTH_DATA_LOSS) << body;
    expectNoSecrets(plugin, outcome.message);
  }
}

Reply basicOnly(const Received& request, const std::string& document) {
  if (request.header("authorization") == kBasic) return manifestReply(document);
  Reply reply = statusReply(401);
  reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"a, b\", charset=\"UTF-8\"");
  return reply;
}

TEST(Basic, FromTheRequestOrTheHost) {
  const std::string document = manifest("one");
  ScriptedServer server([&](const Received& request) { return basicOnly(request, document); });
  const std::string reference = server.host() + "/a:1";
  EXPECT_TRUE(PluginUnderTest().resolve(reference, kUser).ok());
  EXPECT_TRUE(
      PluginUnderTest().resolve(reference, TestCredentials{.auth = "dXNlcjpodW50ZXIy"}).ok());
  PluginUnderTest host;
  host.hostCredentials[server.host()] = kUser;
  EXPECT_TRUE(host.resolve(reference).ok());
  PluginUnderTest none;
  const Outcome refused = none.resolve(reference);
  EXPECT_EQ(refused.code, BERTH_UNAUTHENTICATED);
  EXPECT_THAT(refused.message, HasSubstr("wants a user and a password"));
  EXPECT_EQ(none.credentialLookups(), 1u);
}

TEST(Basic, TheHostIsAskedForTheRepository) {
  const std::string document = manifest("one");
  ScriptedServer server([&](const Received& request) { return basicOnly(request, document); });
  PluginUnderTest plugin;
  plugin.hostCredentials[server.host()] = {.username = "other", .password = "secret-other"};
  plugin.hostCredentials[server.host() + "/team/a"] = kUser;
  EXPECT_TRUE(plugin.resolve(server.host() + "/team/a:1").ok());
  EXPECT_EQ(plugin.resolve(server.host() + "/team/b:1").code, BERTH_UNAUTHENTICATED);
}

TEST(Basic, AHostOfTheFirstMinorVersionIsAskedForTheRegistry) {
  const std::string document = manifest("one");
  ScriptedServer server([&](const Received& request) { return basicOnly(request, document); });
  PluginUnderTest plugin;
  plugin.speakMinor(0);
  plugin.hostCredentials[server.host()] = kUser;
  EXPECT_TRUE(plugin.resolve(server.host() + "/team/a:1").ok());
}

TEST(Basic, WrongOnesAreRefused) {
  ScriptedServer server([&](const Received& request) { return basicOnly(request, ""); });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.resolve(
      server.host() + "/a:1", TestCredentials{.username = "user", .password = "secret-wrong"});
  EXPECT_EQ(outcome.code, BERTH_UNAUTHENTICATED);
  EXPECT_EQ(server.requests().size(), 2u);
  expectNoSecrets(plugin, outcome.message);
}

TEST(Basic, OnlyForTheServerTheyAreFor) {
  const std::string document = manifest("one");
  ScriptedServer server([&](const Received& request) { return basicOnly(request, document); });
  const std::string reference = server.host() + "/a:1";
  TestCredentials elsewhere = kUser;
  elsewhere.serverAddress = "https://registry.example/v1/";
  PluginUnderTest plugin;
  EXPECT_EQ(plugin.resolve(reference, elsewhere).code, BERTH_UNAUTHENTICATED);
  for (const Received& request : server.requests()) EXPECT_EQ(request.header("authorization"), "");
  elsewhere.serverAddress = "http://" + server.host();
  EXPECT_TRUE(plugin.resolve(reference, elsewhere).ok());
}

TEST(Leak, OtherHostsGetNeitherAuthorizationNorHeaders) {
  const std::string blob = noise(1000, 4);
  ScriptedServer storage([&](const Received& request) { return blobReply(blob, request); });
  ScriptedServer registry([&](const Received& request) {
    if (request.header("authorization") != kBasic) return basicOnly(request, "");
    Reply reply = statusReply(307);
    reply.headers.emplace_back("Location", storage.origin() + "/data?signature=secret-signature");
    return reply;
  });
  PluginUnderTest plugin(R"({"registries": {")" + registry.host() +
                         R"(": {"headers": {"X-Key": "secret-key"}}}})");
  const Outcome outcome = plugin.fetch(registry.host() + "/a:1", describe(blob), 10, kUser);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob.substr(10));
  ASSERT_EQ(storage.requests().size(), 1u);
  const Received seen = storage.requests()[0];
  EXPECT_EQ(seen.query, "signature=secret-signature");
  EXPECT_EQ(seen.header("range"), "bytes=10-");
  EXPECT_EQ(seen.header("authorization"), "");
  EXPECT_EQ(seen.header("x-key"), "");
  EXPECT_EQ(registry.requests().back().header("x-key"), "secret-key");
  expectNoSecrets(plugin, outcome.message);
}

TEST(Leak, AnotherHostsChallengeGetsNoAnswer) {
  ScriptedServer storage([&](const Received& request) { return basicOnly(request, ""); });
  ScriptedServer registry([&](const Received&) {
    Reply reply = statusReply(302);
    reply.headers.emplace_back("Location", storage.origin() + "/data?signature=secret-signature");
    return reply;
  });
  PluginUnderTest plugin;
  const Outcome outcome = plugin.resolve(registry.host() + "/a:1", kUser);
  EXPECT_EQ(outcome.code, BERTH_UNAUTHENTICATED);
  ASSERT_EQ(storage.requests().size(), 1u);
  EXPECT_EQ(storage.requests()[0].header("authorization"), "");
  expectNoSecrets(plugin, outcome.message);
}

TEST(Leak, ARefreshTokenIsNotRedirected) {
  ScriptedServer elsewhere([](const Received&) { return Reply{.body = R"({"token":"t"})"}; });
  ScriptedServer tokens([&](const Received&) {
    Reply reply = statusReply(307);
    reply.headers.emplace_back("Location", elsewhere.origin() + "/token");
    return reply;
  });
  ScriptedServer registry([&](const Received&) {
    Reply reply = statusReply(401);
    reply.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"" + tokens.origin() + "/\"");
    return reply;
  });
  PluginUnderTest plugin;
  const Outcome outcome =
      plugin.resolve(registry.host() + "/a:1", TestCredentials{.identityToken = "secret-refresh"});
  EXPECT_EQ(outcome.code, BERTH_DATA_LOSS);
  EXPECT_EQ(elsewhere.requests().size(), 0u);
  expectNoSecrets(plugin, outcome.message);
}

TEST(Leak, AMirrorsOwnCredentialsComeFirst) {
  const std::string document = manifest("one");
  ScriptedServer mirror([&](const Received& request) { return basicOnly(request, document); });
  PluginUnderTest plugin(R"({"registries": {"registry.invalid": {"mirrors": [")" + mirror.origin() +
                         R"("], "fallback": false}}})");
  plugin.hostCredentials[mirror.host()] = kUser;
  const TestCredentials forRegistry{.username = "other", .password = "secret-other"};
  const Outcome outcome = plugin.resolve("registry.invalid/a:1", forRegistry);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  for (const Received& request : mirror.requests())
    EXPECT_THAT(request.header("authorization"), testing::AnyOf("", kBasic));
}

}  // namespace
}  // namespace berth::registry_test
