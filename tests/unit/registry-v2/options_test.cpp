#include "options.hpp"

#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <toml++/toml.h>

#include "berth/support/files.hpp"
#include "berth/support/json.hpp"
#include "test_paths.hpp"

namespace berth::registry {
namespace {

TEST(Options, Defaults) {
  const auto options = parseOptions("{}");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->registries.empty());
  EXPECT_EQ(options->connectTimeout.count(), 10'000);
  EXPECT_EQ(options->mirrorConnectTimeout.count(), 2'000);
  EXPECT_EQ(options->retries, 3u);
  EXPECT_EQ(options->stall.count(), 30'000);
  EXPECT_FALSE(options->userAgent.empty());
}

// The host fills in what is declared, so that has to be what parseOptions takes as its own default.
TEST(Options, DeclaredDefaultsAreAccepted) {
  const auto declared = support::parseJson(kDeclaredOptions, "the declaration");
  ASSERT_TRUE(declared.ok()) << declared.status();
  boost::json::object filled;
  for (const auto& entry : declared->as_array()) {
    const auto& option = entry.as_object();
    EXPECT_FALSE(support::stringMember(option, "help").empty());
    filled[option.at("key").as_string()] = option.at("default");
  }
  const auto given = parseOptions(boost::json::serialize(filled));
  const auto none = parseOptions("{}");
  ASSERT_TRUE(given.ok()) << given.status();
  EXPECT_EQ(given->connectTimeout, none->connectTimeout);
  EXPECT_EQ(given->mirrorConnectTimeout, none->mirrorConnectTimeout);
  EXPECT_EQ(given->retries, none->retries);
  EXPECT_EQ(given->minThroughput, none->minThroughput);
  EXPECT_EQ(given->stall, none->stall);
  EXPECT_EQ(given->userAgent, none->userAgent);
}

TEST(Options, OneTable) {
  const auto options = parseOptions(R"({"retries": 0, "registries": {"Registry.Example": {
    "mirrors": ["http://m.example:5000/p/"], "fallback": false, "plain_http": true,
    "headers": {"X-A": "1"}}}})");
  ASSERT_TRUE(options.ok()) << options.status();
  const RegistryOptions* table = options->find("registry.example");
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(table->mirrors.at(0).shown(), "http://m.example:5000/p");
  EXPECT_EQ(table->fallback, Fallback::kNone);
  EXPECT_EQ(table->plainHttp, true);
  EXPECT_EQ(options->find("other.example"), nullptr);
  EXPECT_EQ(options->retries, 0u);
}

TEST(Options, ATableIsNotAvoidedByTheDefaultPort) {
  const auto options = parseOptions(R"({"registries": {"evil.example": {"blocked": true},
    "other.example:443": {"blocked": true},
    "plain.example": {"plain_http": true, "blocked": true}, "*": {}}})");
  ASSERT_TRUE(options.ok()) << options.status();
  for (const char* host : {"evil.example", "evil.example:443", "other.example", "other.example:443",
                           "plain.example", "plain.example:80"})
    EXPECT_TRUE(options->find(host)->blocked) << host;
  for (const char* host :
       {"evil.example:80", "evil.example:4430", "plain.example:443", "a.example"})
    EXPECT_FALSE(options->find(host)->blocked) << host;
}

TEST(Options, RefusalsNameTheKey) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"retries": -1})", "option retries:"},
      {R"({"retries": "3"})", "option retries:"},
      {R"({"stall_seconds": 0})", "option stall_seconds:"},
      {R"({"connect_timeout_seconds": 1.5})", "option connect_timeout_seconds:"},
      {R"({"user_agent": "a\r\nb"})", "option user_agent:"},
      {R"({"proxy": "host:3128"})", "option proxy:"},
      {R"({"registries": []})", "option registries:"},
      {R"({"registries": {"https://a.b": {}}})", "option registries.\"https://a.b\":"},
      {R"({"registries": {"a.b/c": {}}})", "option registries.\"a.b/c\":"},
      {R"({"registries": {"a.b": 1}})", "option registries.\"a.b\":"},
      {R"({"registries": {"a.b": {}, "A.B": {}}})", "option registries.\"A.B\":"},
      {R"({"registries": {"*": {}, "_default": {}}})", "option registries._default:"},
      {R"({"registries": {"a.b": {"mirror": []}}})", "option registries.\"a.b\".mirror:"},
      {R"({"registries": {"a.b": {"mirrors": "x"}}})", "option registries.\"a.b\".mirrors:"},
      {R"({"registries": {"a.b": {"mirrors": ["http://x", "y z"]}}})",
       "option registries.\"a.b\".mirrors[1]:"},
      {R"({"registries": {"a.b": {"mirrors": ["http://x/?q=1"]}}})",
       "option registries.\"a.b\".mirrors[0]:"},
      {R"({"registries": {"a.b": {"mirrors": ["http://x", "http://x/"]}}})",
       "option registries.\"a.b\".mirrors[1]:"},
      {R"({"registries": {"a.b": {"fallback": false}}})", "option registries.\"a.b\":"},
      {R"({"registries": {"a.b": {"fallback": 1}}})", "option registries.\"a.b\".fallback:"},
      {R"({"registries": {"a.b": {"blocked": "no"}}})", "option registries.\"a.b\".blocked:"},
      {R"({"registries": {"a.b": {"ca": "/nonexistent/ca.pem"}}})",
       "option registries.\"a.b\".ca: open /nonexistent/ca.pem:"},
      {R"({"registries": {"a.b": {"ca": "relative.pem"}}})", "option registries.\"a.b\".ca:"},
      {R"({"registries": {"a.b": {"client_cert": "/dev/null"}}})", "option registries.\"a.b\":"},
      {R"({"registries": {"a.b": {"plain_http": true, "insecure": true}}})",
       "option registries.\"a.b\":"},
      {R"({"registries": {"a.b": {"headers": {"Authorization": "x"}}}})",
       "option registries.\"a.b\".headers.Authorization:"},
      {R"({"registries": {"a.b": {"headers": {"X-A": "b\nc"}}}})",
       "option registries.\"a.b\".headers.X-A:"},
  };
  for (const auto& [json, prefix] : cases) {
    const auto options = parseOptions(json);
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << json;
    EXPECT_THAT(std::string(options.status().message()), testing::StartsWith(prefix)) << json;
  }
}

TEST(Options, PasswordsInUrlsAreNotQuoted) {
  for (const char* json : {R"({"registries": {"a.b": {"mirrors": ["http://user:hunter2@x"]}}})",
                           R"({"proxy": "user:hunter2@proxy"})"}) {
    const auto options = parseOptions(json);
    ASSERT_FALSE(options.ok());
    EXPECT_EQ(options.status().message().find("hunter2"), absl::string_view::npos);
  }
}

// The manual's examples: every toml block, as the host would hand it over.
TEST(Options, ExamplesOfTheManualAreAccepted) {
  const auto manual = support::readFile(test_paths::manual);
  ASSERT_TRUE(manual.ok()) << manual.status();
  size_t examples = 0;
  size_t position = 0;
  while ((position = manual->find("```toml\n", position)) != std::string::npos) {
    position += 8;
    const size_t end = manual->find("```", position);
    ASSERT_NE(end, std::string::npos);
    const toml::table document = toml::parse(manual->substr(position, end - position));
    const toml::table* table = document.at_path("sources.registry.options").as_table();
    ASSERT_NE(table, nullptr);
    std::ostringstream json;
    json << toml::json_formatter(*table);
    const auto options = parseOptions(json.str());
    EXPECT_TRUE(options.ok()) << options.status();
    ++examples;
  }
  EXPECT_GE(examples, 1u);
}

}  // namespace
}  // namespace berth::registry
