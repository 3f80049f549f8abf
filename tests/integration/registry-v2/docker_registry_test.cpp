// Against a real registry.
#include "docker_registry.hpp"

#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "content_helpers.hpp"
#include "plugin_under_test.hpp"
#include "token_server.hpp"

namespace berth::registry_test {
namespace {

using testing::HasSubstr;
using testing::Not;

const TestCredentials kUser{.username = "user", .password = "hunter2"};

class RealRegistry : public testing::Test {
 protected:
  void expectWholeImage(PluginUnderTest& plugin, const std::string& repository,
                        const std::optional<TestCredentials>& credentials = std::nullopt) const {
    const Outcome index = plugin.resolve(repository + ":1", credentials);
    ASSERT_TRUE(index.ok()) << index.message;
    EXPECT_EQ(index.bytes, image_.index);
    EXPECT_EQ(index.digest, sha256(image_.index));
    EXPECT_EQ(index.mediaType, kIndexType);
    const std::string pinned = repository + "@" + sha256(image_.imageManifest);
    const Outcome manifest = plugin.resolve(pinned, credentials);
    ASSERT_TRUE(manifest.ok()) << manifest.message;
    EXPECT_EQ(manifest.bytes, image_.imageManifest);
    const Outcome child = plugin.fetch(
        repository + ":1", describe(image_.imageManifest, kManifestType), 0, credentials);
    ASSERT_TRUE(child.ok()) << child.message;
    EXPECT_EQ(child.bytes, image_.imageManifest);
    const Outcome layer = plugin.fetch(pinned, describe(image_.layer), 0, credentials);
    ASSERT_TRUE(layer.ok()) << layer.message;
    EXPECT_EQ(sha256(layer.bytes), sha256(image_.layer));
    const Outcome rest = plugin.fetch(pinned, describe(image_.layer), 1'000'000, credentials);
    ASSERT_TRUE(rest.ok()) << rest.message;
    EXPECT_EQ(rest.bytes.size(), image_.layer.size() - 1'000'000);
  }

  TemporaryDirectory directory_;
  TestImage image_{directory_ / "layout"};
};

TEST_F(RealRegistry, PlainOnLoopback) {
  DockerRegistry registry(directory_, "plain", {});
  registry.push(image_, "team/app");
  PluginUnderTest plugin;
  expectWholeImage(plugin, registry.host() + "/team/app");
  const Outcome missing = plugin.resolve(registry.host() + "/team/app:2");
  EXPECT_EQ(missing.code, BERTH_NOT_FOUND);
  EXPECT_THAT(missing.message, HasSubstr("MANIFEST_UNKNOWN"));
  EXPECT_EQ(plugin.resolve(registry.host() + "/team/nothing:1").code, BERTH_NOT_FOUND);
  TestDescriptor absent = describe(image_.layer);
  absent.digest = sha256("absent");
  EXPECT_EQ(plugin.fetch(registry.host() + "/team/app:1", absent).code, BERTH_NOT_FOUND);
}

TEST_F(RealRegistry, AsAMirrorWithAPrefix) {
  DockerRegistry registry(directory_, "mirror", {});
  registry.push(image_, "registry.k8s.io/team/app");
  PluginUnderTest plugin(R"({"registries": {"registry.k8s.io": {"mirrors": ["http://)" +
                         registry.host() + R"(/registry.k8s.io"], "fallback": false}}})");
  expectWholeImage(plugin, "registry.k8s.io/team/app");
}

TEST_F(RealRegistry, BasicAuthentication) {
  DockerRegistry registry(directory_, "basic", {.user = "user", .password = "hunter2"});
  registry.push(image_, "team/app");
  PluginUnderTest plugin;
  expectWholeImage(plugin, registry.host() + "/team/app", kUser);
  TestCredentials wrong = kUser;
  wrong.password = "hunter3";
  EXPECT_EQ(plugin.resolve(registry.host() + "/team/app:1", wrong).code, BERTH_UNAUTHENTICATED);
  EXPECT_EQ(plugin.resolve(registry.host() + "/team/app:1").code, BERTH_UNAUTHENTICATED);
  EXPECT_THAT(plugin.log(), Not(HasSubstr("hunter")));
}

TEST_F(RealRegistry, Tokens) {
  const TokenServer tokens(directory_, "user", "hunter2", "team/app");
  DockerRegistry registry(directory_, "tokens",
                          {.user = "user", .password = "hunter2", .tokens = &tokens});
  registry.push(image_, "team/app");
  const size_t before = tokens.given();
  PluginUnderTest plugin(R"({"retries": 0})");
  expectWholeImage(plugin, registry.host() + "/team/app", kUser);
  EXPECT_EQ(tokens.given(), before + 1) << "one for all that is asked of a repository";
  TestCredentials wrong = kUser;
  wrong.password = "hunter3";
  EXPECT_EQ(plugin.resolve(registry.host() + "/team/app:1", wrong).code, BERTH_UNAUTHENTICATED);
  EXPECT_EQ(plugin.resolve(registry.host() + "/team/app:1").code, BERTH_UNAUTHENTICATED);
  // The token is for another repository than this one.
  const Outcome other = plugin.resolve(registry.host() + "/team/other:1", kUser);
  EXPECT_THAT(other.code, testing::AnyOf(BERTH_UNAUTHENTICATED, BERTH_PERMISSION_DENIED));
  EXPECT_THAT(plugin.log(), Not(HasSubstr("hunter")));
}

TEST_F(RealRegistry, ATokenServerWithoutTlsGetsNothingThatATlsRegistryMayHave) {
  const TestCertificates certificates(directory_);
  const TokenServer tokens(directory_, "user", "hunter2", "team/app");
  DockerRegistry registry(
      directory_, "tokens-tls",
      {.user = "user", .password = "hunter2", .tokens = &tokens, .certificates = &certificates});
  PluginUnderTest plugin(R"({"retries": 0, "registries": {")" + registry.host() + R"(": {"ca": ")" +
                         certificates.authority + R"("}}})");
  const Outcome outcome = plugin.resolve(registry.host() + "/team/app:1", kUser);
  EXPECT_EQ(outcome.code, BERTH_PERMISSION_DENIED);
  EXPECT_THAT(outcome.message, HasSubstr("not sent there without encryption"));
  EXPECT_EQ(tokens.given(), 0u);
}

TEST_F(RealRegistry, TlsWithItsOwnAuthority) {
  const TestCertificates certificates(directory_);
  DockerRegistry registry(directory_, "tls",
                          {.user = "user", .password = "hunter2", .certificates = &certificates});
  registry.push(image_, "team/app");
  const std::string repository = registry.host() + "/team/app";
  const auto with = [&](const std::string& table) {
    return R"({"retries": 0, "registries": {")" + registry.host() + "\": " + table + "}}";
  };
  PluginUnderTest trusting(with(R"({"ca": ")" + certificates.authority + R"("})"));
  expectWholeImage(trusting, repository, kUser);
  PluginUnderTest insecure(with(R"({"insecure": true})"));
  expectWholeImage(insecure, repository, kUser);

  PluginUnderTest strict(with(R"({"plain_http": false})"));
  const Outcome refused = strict.resolve(repository + ":1", kUser);
  EXPECT_EQ(refused.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(refused.message, HasSubstr("certificate"));
  EXPECT_THAT(refused.message, HasSubstr("name its authority with ca"));
  PluginUnderTest plain(with("{}"));
  EXPECT_THAT(plain.resolve(repository + ":1", kUser).message, HasSubstr("HTTPS server"));
}

TEST_F(RealRegistry, ClientCertificates) {
  const TestCertificates certificates(directory_);
  DockerRegistry registry(
      directory_, "mutual",
      {.certificates = &certificates, .clients = RegistrySetup::Clients::kCertified});
  const auto with = [&](const std::string& more) {
    return R"({"retries": 0, "registries": {")" + registry.host() + R"(": {"ca": ")" +
           certificates.authority + "\"" + more + "}}}";
  };
  PluginUnderTest certified(with(R"(, "client_cert": ")" + certificates.clientCert +
                                 R"(", "client_key": ")" + certificates.clientKey + "\""));
  EXPECT_EQ(certified.resolve(registry.host() + "/team/app:1").code, BERTH_NOT_FOUND);
  PluginUnderTest nobody(with(""));
  EXPECT_EQ(nobody.resolve(registry.host() + "/team/app:1").code, BERTH_UNAVAILABLE);
}

TEST_F(RealRegistry, PlainHttpWhereTlsIsExpectedSaysSo) {
  DockerRegistry registry(directory_, "plain", {});
  PluginUnderTest plugin(R"({"retries": 0, "registries": {")" + registry.host() +
                         R"(": {"plain_http": false}}})");
  const Outcome outcome = plugin.resolve(registry.host() + "/team/app:1");
  EXPECT_EQ(outcome.code, BERTH_UNAVAILABLE);
  EXPECT_THAT(outcome.message, HasSubstr("plain_http = true"));
}

}  // namespace
}  // namespace berth::registry_test
