#include "hooks/definition.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::hooks {
namespace {

using support::strCat;
using ::testing::ElementsAre;

std::string file(const std::string& when, const std::string& stages = R"(["prestart"])",
                 const std::string& hook = R"({"path": "/bin/true"})",
                 const std::string& more = "") {
  return strCat(R"({"version": "1.0.0", "hook": )", hook, R"(, "when": )", when, R"(, "stages": )",
                stages, more, "}");
}

TEST(HookDefinition, IsRead) {
  const auto definition = parseDefinition(
      file(R"({"always": true})", R"(["createRuntime", "poststop"])",
           R"({"path": "/bin/true", "args": ["true", "x"], "env": ["A=1"], "timeout": 9})"),
      "f.json");
  ASSERT_TRUE(definition.ok()) << definition.status();
  EXPECT_EQ(boost::json::serialize(definition->hook),
            R"({"path":"/bin/true","args":["true","x"],"env":["A=1"],"timeout":9})");
  EXPECT_THAT(definition->stages, ElementsAre("createRuntime", "poststop"));
}

bool holds(const std::string& when, const Subject& subject) {
  const auto definition = parseDefinition(file(when), "f.json");
  EXPECT_TRUE(definition.ok()) << definition.status();
  return definition.ok() && definition->when.holds(subject);
}

TEST(HookCondition, AllThatIsGivenMustHold) {
  const std::map<std::string, std::string> annotations = {{"a.b/gpu", "two cards"}, {"x", "y"}};
  const Subject subject{annotations, "/usr/bin/python3", true};
  const std::map<std::string, std::string> none;
  const Subject plain{none, "/bin/sh", false};

  EXPECT_TRUE(holds(R"({"always": true})", plain));
  EXPECT_FALSE(holds(R"({"always": false})", subject));
  EXPECT_FALSE(holds("{}", subject));
  EXPECT_TRUE(holds(R"({"hasBindMounts": true})", subject));
  EXPECT_FALSE(holds(R"({"hasBindMounts": true})", plain));
  EXPECT_FALSE(holds(R"({"hasBindMounts": false})", plain));
  EXPECT_TRUE(holds(R"({"commands": ["^/bin/", "python[0-9]$"]})", subject));
  EXPECT_FALSE(holds(R"({"commands": ["^python"]})", subject));
  EXPECT_TRUE(holds(R"({"annotations": {"gpu$": "^two", "^x$": "."}})", subject));
  // Key and value of the same annotation.
  EXPECT_FALSE(holds(R"({"annotations": {"gpu$": "^y$"}})", subject));
  EXPECT_FALSE(holds(R"({"annotations": {"gpu$": "^two", "none": "."}})", subject));
  EXPECT_TRUE(holds(R"({"always": true, "commands": ["python"], "hasBindMounts": true})", subject));
  EXPECT_FALSE(holds(R"({"always": true, "commands": ["perl"]})", subject));
  EXPECT_FALSE(holds(R"({"commands": ["."], "annotations": {"none": "."}})", subject));
}

TEST(HookDefinition, ErrorsNameTheMember) {
  const std::pair<std::string, const char*> cases[] = {
      {"[]", "f.json"},
      {"{}", "version is \"\", but only 1.0.0 is supported"},
      {R"({"version": "0.1.0"})", "version is \"0.1.0\""},
      {R"({"version": "1.0.0"})", "hook is missing"},
      {file("{}", R"(["prestart"])", R"({"path": "true"})"), "hook.path must be absolute"},
      {file("{}", R"(["prestart"])", R"({"args": []})"), "hook.path is missing"},
      {file("{}", R"(["prestart"])", R"({"path": "/bin/true", "timeout": 0})"), "hook.timeout"},
      {file("{}", R"(["prestart"])", R"({"path": "/bin/true", "env": ["A"]})"), "hook.env has"},
      {file("{}", R"(["prestart"])", R"({"path": "/bin/true", "x": 1})"), "hook.x is unknown"},
      {file("{}", "[]"), "stages is missing or empty"},
      {file("{}", R"(["precreate"])"), "stages has \"precreate\""},
      {file("null"), "when is missing"},
      {file(R"({"always": 1})"), "when.always must be true or false"},
      {file(R"({"commands": ["("]})"), "when.commands has the pattern \"(\""},
      {file(R"({"annotations": {"[": "."}})"), "when.annotations has the pattern \"[\""},
      {file(R"({"never": true})"), "when.never is unknown"},
      {file("{}", R"(["prestart"])", R"({"path": "/bin/true"})", R"(, "x": 1)"), "x is unknown"}};
  for (const auto& [text, message] : cases) {
    const auto definition = parseDefinition(text, "f.json");
    EXPECT_EQ(definition.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(definition.status().ToString(), ::testing::HasSubstr(message)) << text;
  }
  EXPECT_EQ(parseDefinition(file("{}", R"(["prestart"])", R"({"path": "/no/such/program"})"), "f")
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace berth::hooks
