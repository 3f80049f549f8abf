#include "hooks/registry.hpp"

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"
#include "berth/support/status.hpp"

namespace berth::hooks {
namespace {

using support::strCat;

struct HookRegistry : ::testing::Test {
  void put(const std::string& path, const std::string& text) {
    ASSERT_TRUE(
        support::makeDirectories((folder / path).substr(0, (folder / path).rfind('/'))).ok());
    ASSERT_TRUE(
        support::replaceFile(folder / path, text, 0644, support::Durability::kVisible).ok());
  }
  void ask(const std::string& path, const std::string& argument, const std::string& command = ".",
           const std::string& stages = R"(["prestart"])") {
    put(path,
        strCat(R"({"version": "1.0.0", "hook": {"path": "/bin/true", "args": [")", argument,
               R"("]}, "when": {"commands": [")", command, R"("]}, "stages": )", stages, "}"));
  }
  // What the hooks' arguments are, by stage.
  std::string injected(const std::string& spec = "{}") {
    boost::json::object object = boost::json::parse(spec).as_object();
    const absl::Status status = registry.inject({annotations, "/bin/sh", false}, object);
    if (!status.ok()) return status.ToString();
    std::string text;
    if (!object.contains("hooks")) return "none";
    for (const auto& [stage, hooks] : object.at("hooks").as_object()) {
      text += strCat(std::string_view(stage.data(), stage.size()), ":");
      for (const auto& hook : hooks.as_array())
        text += strCat(" ", hook.as_object().contains("args")
                                ? std::string(hook.at("args").at(0).as_string())
                                : "-");
      text += ";";
    }
    return text;
  }

  berth::testing::TemporaryDirectory folder;
  std::map<std::string, std::string> annotations;
  Registry registry{{folder / "usr", folder / "etc"}};
};

TEST_F(HookRegistry, MatchingHooksInTheOrderOfTheirNames) {
  EXPECT_EQ(injected(), "none");
  ask("etc/20-b.json", "b");
  ask("usr/10-A.json", "a", ".", R"(["prestart", "poststop"])");
  ask("usr/30-no.json", "no", "^python");
  ask("usr/15-c.json", "c");
  ask("usr/ignored.txt", "x");
  EXPECT_EQ(injected(), "prestart: a c b;poststop: a;");
  EXPECT_EQ(injected(R"({"hooks": {"prestart": [{"path": "/first"}]}})"),
            "prestart: - a c b;poststop: a;");
}

TEST_F(HookRegistry, LaterFoldersReplaceFilesOfTheSameName) {
  ask("usr/a.json", "old");
  ask("etc/a.json", "new");
  EXPECT_EQ(injected(), "prestart: new;");
  ASSERT_EQ(::unlink((folder / "etc/a.json").c_str()), 0);
  EXPECT_EQ(injected(), "prestart: old;");
}

TEST_F(HookRegistry, AFileOfNoUseIsAnError) {
  ask("usr/a.json", "a");
  put("usr/b.json", "{");
  EXPECT_THAT(injected(), ::testing::AllOf(::testing::HasSubstr("FAILED_PRECONDITION"),
                                           ::testing::HasSubstr("usr/b.json is of no use")));
  ASSERT_EQ(registry.problems().size(), 1u);
  EXPECT_EQ(registry.problems()[0].first, folder / "usr/b.json");
  // A folder of more weight may put it right.
  ask("etc/b.json", "b");
  EXPECT_EQ(injected(), "prestart: a b;");
  EXPECT_TRUE(registry.problems().empty());
}

TEST_F(HookRegistry, WithoutFoldersThereIsNothingToDo) {
  Registry none{{}};
  boost::json::object spec;
  EXPECT_TRUE(none.inject({annotations, "x", true}, spec).ok());
  EXPECT_TRUE(spec.empty());
}

}  // namespace
}  // namespace berth::hooks
