#include "images/import.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::images {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Platform kHere{"linux", "arm64", ""};

IndexEntry entry(const std::string& name, const std::string& digest,
                 const Platform& platform = {}) {
  IndexEntry made;
  made.descriptor.digest = digest;
  if (!name.empty()) made.descriptor.annotations["org.opencontainers.image.ref.name"] = name;
  made.platform = platform;
  return made;
}

// "digest: name name" of each.
std::vector<std::string> chosen(const std::vector<IndexEntry>& entries,
                                const std::vector<std::string>& wanted = {}) {
  const auto choices = chooseImports({entries}, wanted, kHere, ShortNames());
  EXPECT_TRUE(choices.ok()) << choices.status();
  std::vector<std::string> texts;
  if (!choices.ok()) return texts;
  for (const ImportChoice& choice : *choices) {
    std::string text = choice.descriptor.digest + ":";
    for (const std::string& name : choice.names) text += " " + name;
    texts.push_back(text);
  }
  return texts;
}

absl::Status refused(const std::vector<IndexEntry>& entries,
                     const std::vector<std::string>& wanted = {}) {
  return chooseImports({entries}, wanted, kHere, ShortNames()).status();
}

TEST(ChooseImports, TakesAllThatHaveANameAndEachImageOnce) {
  EXPECT_THAT(chosen({entry("a.example/b:1", "B"), entry("", "N"), entry("a.example/a:1", "A"),
                      entry("latest", "L"), entry("a.example/b:2", "B")}),
              ElementsAre("A: a.example/a:1", "B: a.example/b:1 a.example/b:2"));
}

TEST(ChooseImports, TakesThePlatformsOfOneName) {
  EXPECT_THAT(chosen({entry("a.example/a:1", "X", {"linux", "s390x", ""}),
                      entry("a.example/a:1", "Y", {"linux", "arm64", "v8"})}),
              ElementsAre("Y: a.example/a:1"));
  EXPECT_EQ(refused({entry("a.example/a:1", "X", {"linux", "s390x", ""}),
                     entry("a.example/a:1", "Z", {"linux", "ppc64le", ""})})
                .code(),
            absl::StatusCode::kNotFound);
}

TEST(ChooseImports, TakesThoseThatAreWantedAsUsersNameThem) {
  const std::vector<IndexEntry> entries{entry("docker.io/library/app:latest", "A"),
                                        entry("a.example/b:1", "B")};
  EXPECT_THAT(chosen(entries, {"app"}), ElementsAre("A: docker.io/library/app:latest"));
  EXPECT_THAT(chosen(entries, {"a.example/b:1", "app"}),
              ElementsAre("B: a.example/b:1", "A: docker.io/library/app:latest"));
  const absl::Status status = refused(entries, {"a.example/c:1"});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("a.example/c:1"), HasSubstr("a.example/b:1")));
  EXPECT_EQ(refused(entries, {"Not A Name"}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ChooseImports, GivesANameToWhatHasNone) {
  EXPECT_THAT(chosen({entry("", "N")}, {"a.example/n:1"}), ElementsAre("N: a.example/n:1"));
  EXPECT_THAT(chosen({entry("latest", "L"), entry("1.0", "O")}, {"a.example/n:1.0"}),
              ElementsAre("O: a.example/n:1.0"));
  EXPECT_THAT(chosen({entry("a.example/a:1", "A")}, {"a.example/other:2", "a.example/a:1"}),
              ElementsAre("A: a.example/other:2 a.example/a:1"));
  EXPECT_EQ(refused({entry("", "N"), entry("", "M")}, {"a.example/n:1"}).code(),
            absl::StatusCode::kNotFound);
}

TEST(ChooseImports, SaysWhatThereIsWhenNothingHasAName) {
  const absl::Status status = refused({entry("", "N"), entry("latest", "L")});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("N"), HasSubstr("L, tagged latest")));
  EXPECT_EQ(refused({}).code(), absl::StatusCode::kInvalidArgument);
}

TEST(ChooseImports, WhatIsToldOfAnArchivesNamesIsOneLineEach) {
  const std::string name = "a.example/a:\x1b[2J\n" + std::string(1000, 'x');
  const absl::Status status = refused({entry(name, "A"), entry("a\nb", "B")}, {"a.example/c:1"});
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("it has a.example/a: [2J xxx"), HasSubstr("tagged a b")));
  EXPECT_LT(status.message().size(), 600u);
}

TEST(ChooseImports, AShortNameIsTheFirstThatTheFileHas) {
  const ShortNames names({"b.example", "a.example"}, {});
  const auto choices =
      chooseImports({{entry("a.example/app:1", "sha256:1")}}, {"app:1"}, kHere, names);
  ASSERT_TRUE(choices.ok()) << choices.status();
  EXPECT_THAT(choices->front().names, ElementsAre("a.example/app:1"));
  const auto others = chooseImports({{entry("", "sha256:1")}}, {"app:1"}, kHere, names);
  ASSERT_TRUE(others.ok()) << others.status();
  EXPECT_THAT(others->front().names, ElementsAre("b.example/app:1"));
}

}  // namespace
}  // namespace berth::images
