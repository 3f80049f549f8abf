// Registries that are reached through a proxy.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "scripted_server.hpp"

namespace berth::registry_test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kRegistry = "registry.invalid/team/app:1";
constexpr const char* kPlain = R"("retries": 0, "registries": {"registry.invalid": {)"
                               R"("plain_http": true}})";

std::string through(const std::string& proxy, const std::string& more = kPlain) {
  return R"({"proxy": ")" + proxy + "\", " + more + "}";
}

// A variable of the environment, as long as it lives.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    EXPECT_EQ(::setenv(name, value.c_str(), 1), 0);
  }
  ~Variable() { ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
};

class Proxy : public testing::Test {
 protected:
  const std::string document_ = manifest("one");
  ScriptedServer proxy_{[this](const Received& request) {
    return request.method == "CONNECT" ? statusReply(403) : manifestReply(document_);
  }};
};

TEST_F(Proxy, IsGivenTheWholeAddress) {
  PluginUnderTest plugin(through(proxy_.origin()));
  const Outcome outcome = plugin.resolve(kRegistry);
  ASSERT_TRUE(outcome.ok()) << outcome.message;
  EXPECT_EQ(outcome.bytes, document_);
  ASSERT_THAT(proxy_.requests(), SizeIs(1));
  EXPECT_EQ(proxy_.requests()[0].path, "http://registry.invalid/v2/team/app/manifests/1");
  EXPECT_EQ(proxy_.requests()[0].header("host"), "registry.invalid");
}

TEST_F(Proxy, OfTheEnvironment) {
  const Variable proxy("http_proxy", proxy_.origin());
  PluginUnderTest plugin(std::string("{") + kPlain + "}");
  ASSERT_TRUE(plugin.resolve(kRegistry).ok());
  ASSERT_THAT(proxy_.requests(), SizeIs(1));
  // Those that it is not for are looked for in the network, where this one is not.
  const Variable exceptions("no_proxy", "other.invalid,registry.invalid");
  EXPECT_EQ(plugin.resolve(kRegistry).code, BERTH_UNAVAILABLE);
  EXPECT_THAT(proxy_.requests(), SizeIs(1));
}

TEST_F(Proxy, ItsOwnCredentialsAreForIt) {
  const std::string url = "http://user:hunter2@" + proxy_.host();
  PluginUnderTest plugin(through(url));
  ASSERT_TRUE(plugin.resolve(kRegistry).ok());
  ASSERT_THAT(proxy_.requests(), SizeIs(1));
  EXPECT_EQ(proxy_.requests()[0].header("proxy-authorization"), "Basic dXNlcjpodW50ZXIy");
  EXPECT_EQ(proxy_.requests()[0].header("authorization"), "");
  EXPECT_THAT(plugin.log(), Not(HasSubstr("hunter2")));
}

// It only passes on what the registry and the plugin have to say to each other.
TEST_F(Proxy, OfATlsRegistrySeesNoCredentials) {
  PluginUnderTest plugin(through(proxy_.origin(), R"("retries": 0)"));
  const Outcome outcome =
      plugin.resolve(kRegistry, TestCredentials{.username = "user", .password = "hunter2"});
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE) << outcome.message;
  EXPECT_THAT(outcome.message, HasSubstr("403"));
  ASSERT_FALSE(proxy_.requests().empty());
  for (const Received& request : proxy_.requests()) {
    EXPECT_EQ(request.method, "CONNECT");
    EXPECT_EQ(request.path, "registry.invalid:443");
    EXPECT_EQ(request.header("authorization"), "");
  }
}

TEST_F(Proxy, IsNotAskedForThisHost) {
  const Variable proxy("http_proxy", proxy_.origin());
  ScriptedServer registry([this](const Received&) { return manifestReply(document_); });
  for (const std::string& options : {std::string("{}"), through(proxy_.origin())}) {
    PluginUnderTest plugin(options);
    EXPECT_TRUE(plugin.resolve(registry.host() + "/team/app:1").ok());
  }
  EXPECT_THAT(proxy_.requests(), IsEmpty());
}

TEST_F(Proxy, ThatIsAwayIsNamedWithoutItsPassword) {
  uint16_t port = 0;
  {
    const ScriptedServer gone([](const Received&) { return statusReply(500); });
    port = static_cast<uint16_t>(std::stoul(gone.host().substr(gone.host().find(':') + 1)));
  }
  const std::string host = "127.0.0.1:" + std::to_string(port);
  PluginUnderTest plugin(through("http://user:hunter2@" + host));
  const Outcome outcome = plugin.resolve(kRegistry);
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(outcome.message, HasSubstr(std::to_string(port)));
  EXPECT_THAT(outcome.message, Not(HasSubstr("hunter2")));
  EXPECT_THAT(plugin.log(), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace berth::registry_test
