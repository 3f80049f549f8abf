#include "images/manifest.hpp"

#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"

namespace berth::images {
namespace {

using support::strCat;
using ::testing::HasSubstr;

const std::string kA = "sha256:" + std::string(64, 'a');
const std::string kB = "sha256:" + std::string(64, 'b');

std::string descriptor(const std::string& digest, const std::string& more = "") {
  return strCat(R"({"mediaType": "x", "digest": ")", digest, R"(", "size": 7)", more, "}");
}

absl::StatusOr<std::variant<Manifest, Index>> parse(const std::string& text) {
  return parseDocument(text, "application/vnd.oci.image.manifest.v1+json");
}

TEST(ParseDocument, ReadsAManifest) {
  const auto document =
      parse(strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA), R"(, "layers": [)",
                   descriptor(kB, R"(, "urls": ["https://a.example/b"],
                                  "annotations": {"k": "v", "number": 3})"),
                   "]}"));
  ASSERT_TRUE(document.ok()) << document.status();
  const auto& manifest = std::get<Manifest>(*document);
  EXPECT_EQ(manifest.config.digest, kA);
  EXPECT_EQ(manifest.config.size, 7u);
  ASSERT_EQ(manifest.layers.size(), 1u);
  EXPECT_EQ(manifest.layers[0].digest, kB);
  EXPECT_THAT(manifest.layers[0].urls, ::testing::ElementsAre("https://a.example/b"));
  EXPECT_EQ(manifest.layers[0].annotations.at("k"), "v");
}

TEST(ParseDocument, SizesAreBounded) {
  const auto sized = [](const std::string& size) {
    return parse(strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA),
                        R"(, "layers": [{"mediaType": "x", "digest": ")", kB, R"(", "size": )",
                        size, "}]}"));
  };
  EXPECT_TRUE(sized("1099511627776").ok());
  EXPECT_THAT(std::string(sized("1099511627777").status().message()), HasSubstr("layers[0].size"));
  EXPECT_THAT(std::string(sized("9223372036854775807").status().message()),
              HasSubstr("layers[0].size"));
}

TEST(ParseDocument, ItsFailuresAreOneLine) {
  const auto parsed = parseDocument(R"({"schemaVersion": 2})", "a\x1b[2J\nb");
  EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("type a [2J b is"));
}

TEST(ParseDocument, ReadsAnIndex) {
  const auto document =
      parse(strCat(R"({"schemaVersion": 2, "manifests": [)",
                   descriptor(kA, R"(, "platform": {"os": "linux", "architecture": "arm",
                               "variant": "v7"})"),
                   ", ", descriptor(kB), "]}"));
  ASSERT_TRUE(document.ok()) << document.status();
  const auto& index = std::get<Index>(*document);
  ASSERT_EQ(index.entries.size(), 2u);
  EXPECT_EQ(index.entries[0].platform.text(), "linux/arm/v7");
  EXPECT_EQ(index.entries[1].platform.os, "");
  EXPECT_EQ(index.entries[1].descriptor.digest, kB);
}

TEST(ParseDocument, WrongOnesAreRefusedByTheMembersName) {
  const std::pair<std::string, const char*> wrong[] = {
      {"", "manifest"},
      {"[]", "manifest"},
      {"{", "manifest"},
      {"{}", "schemaVersion"},
      {R"({"schemaVersion": 1})", "schema 1"},
      {R"({"schemaVersion": 3})", "schemaVersion is 3"},
      {R"({"schemaVersion": 2})", "neither a manifest nor an index"},
      {R"({"schemaVersion": 2, "config": 3})", "config is no object"},
      {R"({"schemaVersion": 2, "config": {"digest": "md5:x", "size": 1}})", "config.digest"},
      {strCat(R"({"schemaVersion": 2, "config": {"digest": ")", kA, R"("}})"), "config.size"},
      {strCat(R"({"schemaVersion": 2, "config": {"digest": ")", kA, R"(", "size": -1}})"),
       "config.size"},
      {strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA), "}"), "layers"},
      {strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA), R"(, "layers": {}})"),
       "layers"},
      {strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA), R"(, "layers": [)",
              descriptor(kB), ", null]}"),
       "layers[1] is no object"},
      {R"({"schemaVersion": 2, "manifests": [3]})", "manifests[0] is no object"},
      {R"({"schemaVersion": 2, "manifests": 3})", "neither a manifest nor an index"},
  };
  for (const auto& [text, reason] : wrong) {
    const auto document = parse(text);
    EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(std::string(support::fromAbsl(document.status().message())), HasSubstr(reason))
        << text;
  }
}

TEST(ParseDocument, TooManyLayersAreRefused) {
  std::string layers;
  for (int i = 0; i < 1001; ++i) layers += strCat(i == 0 ? "" : ",", descriptor(kB));
  const auto document = parse(strCat(R"({"schemaVersion": 2, "config": )", descriptor(kA),
                                     R"(, "layers": [)", layers, "]}"));
  EXPECT_EQ(document.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(support::fromAbsl(document.status().message())), HasSubstr("1001"));
}

TEST(ParsePlatform, TakesTwoOrThreeParts) {
  EXPECT_EQ(parsePlatform("linux/amd64")->text(), "linux/amd64");
  EXPECT_EQ(parsePlatform("linux/arm64/v8")->text(), "linux/arm64/v8");
  for (const char* text : {"linux", "linux/", "/amd64", "a/b/c/d"}) {
    EXPECT_EQ(parsePlatform(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
  const Platform standard{"linux", "arm64", ""};
  for (const auto& [text, beside] :
       std::map<std::string, std::string>{{"", ""},
                                          {"linux/arm64", ""},
                                          {"linux/arm64/v8", ""},
                                          {"linux/arm64/v9", "linux/arm64/v9"},
                                          {"linux/arm/v7", "linux/arm"},
                                          {"linux/arm/v6", "linux/arm/v6"}}) {
    EXPECT_EQ(*platformBeside(standard, text), beside) << text;
  }
  EXPECT_EQ(*platformBeside({"linux", "arm64", "v8"}, "linux/arm64"), "");
  const auto host = parsePlatform("");
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->os, "linux");
  EXPECT_FALSE(host->architecture.empty());
}

Index index(const std::vector<Platform>& platforms) {
  Index result;
  for (const Platform& platform : platforms) {
    IndexEntry entry;
    entry.descriptor.digest = platform.text();
    entry.platform = platform;
    result.entries.push_back(entry);
  }
  return result;
}

std::string chosen(const std::vector<Platform>& offered, const Platform& wanted) {
  const auto descriptor = choose(index(offered), wanted);
  return descriptor.ok() ? descriptor->digest : "none";
}

TEST(Choose, TakesTheSameSystemAndArchitecture) {
  const std::vector<Platform> offered = {
      {"windows", "amd64", ""}, {"linux", "arm64", ""}, {"linux", "amd64", ""}};
  EXPECT_EQ(chosen(offered, {"linux", "amd64", ""}), "linux/amd64");
  EXPECT_EQ(chosen(offered, {"linux", "s390x", ""}), "none");
}

TEST(Choose, TakesTheNearestVariantNotAboveTheWanted) {
  const std::vector<Platform> arm = {
      {"linux", "arm", "v5"}, {"linux", "arm", "v7"}, {"linux", "arm", "v6"}};
  EXPECT_EQ(chosen(arm, {"linux", "arm", "v7"}), "linux/arm/v7");
  EXPECT_EQ(chosen(arm, {"linux", "arm", "v6"}), "linux/arm/v6");
  EXPECT_EQ(chosen(arm, {"linux", "arm", "v8"}), "linux/arm/v7");
  EXPECT_EQ(chosen({{"linux", "arm", "v7"}}, {"linux", "arm", "v6"}), "none");
}

TEST(Choose, WithoutAVariantOnlyTheBaseLineFits) {
  EXPECT_EQ(chosen({{"linux", "amd64", "v3"}, {"linux", "amd64", ""}}, {"linux", "amd64", ""}),
            "linux/amd64");
  EXPECT_EQ(chosen({{"linux", "amd64", "v1"}, {"linux", "amd64", "v2"}}, {"linux", "amd64", ""}),
            "linux/amd64/v1");
  EXPECT_EQ(chosen({{"linux", "amd64", "v2"}}, {"linux", "amd64", ""}), "none");
}

TEST(Choose, ArmWithoutAVariantFitsWhatSaysV8) {
  EXPECT_EQ(chosen({{"linux", "arm64", "v8"}}, {"linux", "arm64", ""}), "linux/arm64/v8");
  EXPECT_EQ(chosen({{"linux", "arm64", ""}}, {"linux", "arm64", "v8"}), "linux/arm64");
}

TEST(Choose, AnEntryThatSaysNothingIsTheLastResort) {
  EXPECT_EQ(chosen({{"", "", ""}, {"linux", "amd64", ""}}, {"linux", "amd64", ""}), "linux/amd64");
  EXPECT_EQ(chosen({{"", "", ""}, {"linux", "arm64", ""}}, {"linux", "amd64", ""}),
            Platform{}.text());
}

TEST(Choose, ARefusalListsWhatThereIs) {
  const auto none =
      choose(index({{"linux", "arm64", "v8"}, {"windows", "amd64", ""}}), {"linux", "amd64", ""});
  EXPECT_EQ(none.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(support::fromAbsl(none.status().message())),
              ::testing::AllOf(HasSubstr("linux/amd64"), HasSubstr("linux/arm64/v8"),
                               HasSubstr("windows/amd64")));
}

}  // namespace
}  // namespace berth::images
