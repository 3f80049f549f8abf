// Mirrors: order, prefixes, the dead ones.
#include <arpa/inet.h>
#include <future>
#include <netinet/in.h>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

constexpr seconds kPromised{2};  // that a dead mirror may cost
constexpr std::chrono::milliseconds kTolerance{1500};

std::string withMirrors(const std::string& registry, const std::string& mirrors,
                        const std::string& more = {}) {
  return R"({"mirror_connect_timeout_seconds": 1, "registries": {")" + registry +
         R"(": {"mirrors": [)" + mirrors + "]" + more + "}}}";
}

std::string inQuotes(const std::string& text) {
  return "\"" + text + "\"";
}

TEST(Mirror, PrefixAndNamespace) {
  const std::string document = manifest("one");
  ScriptedServer mirror([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin(
      withMirrors("registry.k8s.io", inQuotes(mirror.origin() + "/registry.k8s.io")));
  const Outcome outcome = plugin.resolve("registry.k8s.io/e2e/pause:3.9");
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(mirror.requests().at(0).path, "/v2/registry.k8s.io/e2e/pause/manifests/3.9");
  EXPECT_EQ(mirror.requests().at(0).query, "ns=registry.k8s.io");
}

TEST(Mirror, TheNextIsAskedWhereOneFails) {
  const std::string document = manifest("one");
  ScriptedServer empty([](const Received&) { return statusReply(404); });
  ScriptedServer lying([](const Received&) { return manifestReply(manifest("lie")); });
  ScriptedServer registry([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin(
      withMirrors(registry.host(), inQuotes(empty.origin()) + "," + inQuotes(lying.origin())));
  const Outcome outcome = plugin.resolve(registry.host() + "/a@" + sha256(document));
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, document);
  EXPECT_EQ(empty.requests().size(), 1u);
  EXPECT_EQ(lying.requests().size(), 1u);
}

TEST(Mirror, EveryAttemptIsListed) {
  ScriptedServer first([](const Received&) { return statusReply(404); });
  ScriptedServer second([](const Received&) { return statusReply(403); });
  PluginUnderTest plugin(withMirrors("registry.invalid",
                                     inQuotes(first.origin()) + "," + inQuotes(second.origin()),
                                     R"(, "fallback": false)"));
  const Outcome outcome = plugin.resolve("registry.invalid/a:1");
  EXPECT_EQ(outcome.code, BERTH_PERMISSION_DENIED);
  EXPECT_THAT(outcome.message, HasSubstr(first.origin() + "/v2/a/manifests/1: HTTP 404"));
  EXPECT_THAT(outcome.message, HasSubstr(second.origin() + "/v2/a/manifests/1: HTTP 403"));
}

TEST(Mirror, ABlobGoesOnWhereTheMirrorLeftOff) {
  const std::string blob = noise(200'000, 2);
  ScriptedServer mirror([&](const Received& request) {
    if (!request.header("range").empty()) return statusReply(404);
    Reply reply = blobReply(blob, request);
    reply.cut = 50'000;
    reply.ending = Reply::Ending::kClose;
    return reply;
  });
  ScriptedServer registry([&](const Received& request) { return blobReply(blob, request); });
  PluginUnderTest plugin(withMirrors(registry.host(), inQuotes(mirror.origin())));
  const Outcome outcome = plugin.fetch(registry.host() + "/a:1", describe(blob));
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, blob);
  EXPECT_EQ(registry.requests().at(0).header("range"), "bytes=50000-");
}

// A port on which connections are neither taken nor refused: the queue of the listener is full.
class DeafPort {
 public:
  DeafPort() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address_;
    auto* generic = reinterpret_cast<sockaddr*>(&address_);
    EXPECT_EQ(::bind(listener_.get(), generic, length), 0);
    EXPECT_EQ(::listen(listener_.get(), 0), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &length), 0);
    for (support::Fd& filler : fillers_) {
      filler.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(filler.get(), generic, length);
    }
  }
  std::string host() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }
  std::string origin() const { return "http://" + host(); }

 private:
  support::Fd listener_;
  sockaddr_in address_{};
  support::Fd fillers_[4];
};

TEST(Mirror, ADeadOneCostsItsTimeOutOnce) {
  const std::string document = manifest("one");
  const DeafPort dead;
  ScriptedServer registry([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin(withMirrors(registry.host(), inQuotes(dead.origin())));
  auto start = Clock::now();
  ASSERT_TRUE(plugin.resolve(registry.host() + "/a:1").ok());
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(900));
  EXPECT_LT(Clock::now() - start, seconds(4));
  EXPECT_THAT(plugin.log(), HasSubstr("mirror=" + dead.origin()));
  start = Clock::now();
  ASSERT_TRUE(plugin.resolve(registry.host() + "/a:1").ok());
  EXPECT_LT(Clock::now() - start, std::chrono::milliseconds(900));
}

// Without being told how long to wait; blobs and pulls that come at once wait together.
TEST(Mirror, ADeadOneCostsTwoSecondsAtMost) {
  const std::string document = manifest("one");
  const DeafPort dead;
  ScriptedServer registry([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin(R"({"registries": {")" + registry.host() + R"(": {"mirrors": [)" +
                         inQuotes(dead.origin()) + "]}}}");
  const auto start = Clock::now();
  std::vector<std::future<Outcome>> calls;
  for (int i = 0; i < 4; ++i) {
    calls.push_back(
        std::async(std::launch::async, [&] { return plugin.resolve(registry.host() + "/a:1"); }));
  }
  for (auto& call : calls) {
    const Outcome outcome = call.get();
    EXPECT_TRUE(outcome.ok()) << outcome.message;
  }
  EXPECT_LT(Clock::now() - start, kPromised + kTolerance);
  EXPECT_THAT(plugin.log(), HasSubstr("mirror=" + dead.origin()));
}

// Also a dead one, and the registry itself.
TEST(Mirror, TheDeadAndTheRegistryAreListedWithTheOthers) {
  const DeafPort dead;
  ScriptedServer empty([](const Received&) { return statusReply(404); });
  ScriptedServer registry([](const Received&) { return statusReply(404); });
  PluginUnderTest plugin(
      withMirrors(registry.host(), inQuotes(dead.origin()) + "," + inQuotes(empty.origin())));
  const Outcome outcome = plugin.resolve(registry.host() + "/a:1");
  EXPECT_FALSE(outcome.ok());
  EXPECT_THAT(outcome.message, HasSubstr(dead.origin() + "/v2/a/manifests/1"));
  EXPECT_THAT(outcome.message, HasSubstr(empty.origin() + "/v2/a/manifests/1: HTTP 404"));
  EXPECT_THAT(outcome.message, HasSubstr(registry.host() + "/v2/a/manifests/1: HTTP 404"));
}

TEST(Mirror, ADeadOneCostsAsMuchAsConfigured) {
  const DeafPort dead;
  PluginUnderTest plugin(R"({"mirror_connect_timeout_seconds": 3, "retries": 0,
      "registries": {"registry.invalid": {"mirrors": [)" +
                         inQuotes(dead.origin()) + R"(], "fallback": false}}})");
  const auto start = Clock::now();
  EXPECT_EQ(plugin.resolve("registry.invalid/a:1").code, BERTH_UNAVAILABLE);
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(2900));
}

TEST(Mirror, ADeadRegistryCostsItsOwnTimeOut) {
  const DeafPort dead;
  PluginUnderTest plugin(R"({"connect_timeout_seconds": 1, "retries": 0})");
  const auto start = Clock::now();
  const Outcome outcome = plugin.resolve(dead.host() + "/a:1");
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE) << outcome.message;
  EXPECT_GE(Clock::now() - start, std::chrono::milliseconds(900));
  EXPECT_LT(Clock::now() - start, seconds(4));
}

TEST(Mirror, ADeadOneIsStillAskedWhenItIsTheOnlyOne) {
  const DeafPort dead;
  PluginUnderTest plugin(
      withMirrors("registry.invalid", inQuotes(dead.origin()), R"(, "fallback": false)"));
  for (int i = 0; i < 2; ++i) {
    const Outcome outcome = plugin.resolve("registry.invalid/a:1");
    EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
    EXPECT_THAT(outcome.message, HasSubstr(dead.origin()));
  }
}

TEST(Mirror, TheDefaultTableIsForAllOthers) {
  const std::string document = manifest("one");
  ScriptedServer mirror([&](const Received&) { return manifestReply(document); });
  PluginUnderTest plugin(withMirrors("*", inQuotes(mirror.origin())));
  EXPECT_TRUE(plugin.resolve("any.invalid/a:1").ok());
  EXPECT_TRUE(plugin.resolve("docker.io/busybox:1").ok());
  EXPECT_EQ(mirror.requests().at(1).path, "/v2/library/busybox/manifests/1");
  EXPECT_EQ(mirror.requests().at(1).query, "ns=docker.io");
}

}  // namespace
}  // namespace berth::registry_test
