#include "config/secrets.hpp"

#include <boost/json/serialize.hpp>

#include "config/changes.hpp"
#include "fixture.hpp"

namespace berth::config {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kText = R"(
[containers]
default_env = ["HTTPS_PROXY=https://me:sEcret@proxy.example:3128", "A=b@c"]
[images]
pinned = ["registry.example/a:1@sha256:00"]
[sources.registry.options]
proxy = "http://me:sEcret@proxy.example:3128/path@x"
[sources.registry.options.registries."a.example"]
mirrors = ["https://mirror.example", "https://sEcret@mirror.example/v2"]
client_key = "/etc/key.pem"
headers = {X-Token = "sEcret", X-Empty = ""}
lookaside = "https://a.example/who@where"
[sources.other]
plugin = "other"
[sources.other.options]
api_token = "sEcret"
password = ["sEcret", {deep = "sEcret"}]
token_file = "/etc/token"
client-secret = "sEcret"
credentials = "/etc/credentials"
many = [{auth = "sEcret", author = "somebody"}]
)";

const auto kShowsNoSecret =
    AllOf(Not(HasSubstr("sEcret")), HasSubstr("HTTPS_PROXY=https://(hidden)@proxy.example:3128"),
          HasSubstr("http://(hidden)@proxy.example:3128/path@x"),
          HasSubstr("https://(hidden)@mirror.example/v2"));
const auto kShowsTheRest = AllOf(
    HasSubstr("A=b@c"), HasSubstr("a:1@sha256:00"), HasSubstr("/etc/key.pem"), HasSubstr("X-Token"),
    HasSubstr("https://mirror.example"), HasSubstr("https://a.example/who@where"),
    HasSubstr("/etc/token"), HasSubstr("/etc/credentials"), HasSubstr("somebody"));

TEST_F(ConfigTest, WhatIsShownHasNoSecretInIt) {
  const auto config = loadText(kText);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_THAT(dump(*config), AllOf(kShowsNoSecret, kShowsTheRest));
  EXPECT_THAT(boost::json::serialize(toJson(*config)), AllOf(kShowsNoSecret, kShowsTheRest));
  // The daemon itself has them all.
  EXPECT_EQ(config->sources.at("other").options.at("api_token"), "sEcret");
}

TEST_F(ConfigTest, ChangesOfSecretsAreToldWithoutThem) {
  const Config before = *loadText("[sources.a]\nplugin = \"a\"\noptions.password = \"one\"\n");
  const Config after = *loadText("[sources.a]\nplugin = \"a\"\noptions.password = \"two\"\n");
  const std::vector<Change> changes = changesBetween(before, after);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].key, "sources.a.options");
  EXPECT_EQ(changes[0].from, "{ password = \"(hidden)\" }");
  EXPECT_EQ(changes[0].to, changes[0].from);
}

}  // namespace
}  // namespace berth::config
