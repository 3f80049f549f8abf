// Options against what a plugin declares.
#include "plugins/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::plugins {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

constexpr std::string_view kDeclaration = R"([
  {"key": "path", "type": "string"},
  {"key": "count", "type": "integer", "default": 3},
  {"key": "share", "type": "number", "default": 0.5},
  {"key": "on", "type": "boolean", "default": true},
  {"key": "names", "type": "array", "default": []},
  {"key": "more", "type": "table", "default": {"a": 1}}])";

TEST(Options, DefaultsFillWhatIsNotGiven) {
  const auto options = resolveOptions(kDeclaration, {{"path", "/x"}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(*options, (json::object{{"path", "/x"},
                                    {"count", 3},
                                    {"share", 0.5},
                                    {"on", true},
                                    {"names", json::array()},
                                    {"more", json::object{{"a", 1}}}}));
}

TEST(Options, GivenValuesWin) {
  const auto options = resolveOptions(kDeclaration, {{"path", "/x"}, {"count", 7}, {"share", 2}});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->at("count"), 7);
  EXPECT_EQ(options->at("share"), 2);
}

TEST(Options, NothingDeclaredTakesNothing) {
  EXPECT_TRUE(resolveOptions("", {}).ok());
  EXPECT_FALSE(resolveOptions("", {{"path", "/x"}}).ok());
}

TEST(Options, EveryWrongTypeIsRefused) {
  const std::pair<const char*, json::value> wrong[] = {{"path", 1},
                                                       {"count", 1.5},
                                                       {"count", "1"},
                                                       {"share", "x"},
                                                       {"on", 1},
                                                       {"names", json::object()},
                                                       {"more", json::array()},
                                                       {"path", nullptr}};
  for (const auto& [key, value] : wrong) {
    json::object given{{"path", "/x"}};
    given[key] = value;
    const auto options = resolveOptions(kDeclaration, given);
    EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << key;
    EXPECT_THAT(std::string(support::fromAbsl(options.status().message())),
                HasSubstr(support::strCat("option ", key, ": must be of type")));
  }
}

TEST(Options, AllProblemsComeTogether) {
  const auto options = resolveOptions(kDeclaration, {{"count", "x"}, {"paht", "/x"}, {"a b", 1}});
  EXPECT_EQ(std::string(support::fromAbsl(options.status().message())),
            "option path: is required\n"
            "option count: must be of type integer, not string\n"
            "option paht: is not known; did you mean path?\n"
            "option \"a b\": is not known; known here: path, count, share, on, names, more");
}

TEST(Options, ADeclarationOfAnotherFormIsRefused) {
  for (const char* declaration : {"{}", "3", R"([{"type": "string"}])", "[1]", "[", "[null]"}) {
    EXPECT_FALSE(resolveOptions(declaration, {}).ok()) << declaration;
  }
}

}  // namespace
}  // namespace berth::plugins
