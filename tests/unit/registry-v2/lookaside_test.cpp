#include "lookaside.hpp"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "options.hpp"

namespace berth::registry {
namespace {

using ::testing::HasSubstr;

TEST(Lookaside, Urls) {
  const auto web = parseLookaside("https://a.example/store/");
  ASSERT_TRUE(web.ok()) << web.status();
  EXPECT_EQ(web->url->text(), "https://a.example/store");
  const auto files = parseLookaside("file:///var/lib/store/");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->folder, "/var/lib/store");
  EXPECT_FALSE(files->url.has_value());
  for (const char* text : {"", "store", "ftp://a.example", "file://host/x", "file://",
                           "file:///a%20b", "https://a.example/?x=1", "https://user@a.example/"})
    EXPECT_FALSE(parseLookaside(text).ok()) << text;
}

TEST(Lookaside, Paths) {
  EXPECT_EQ(lookasidePath("a/b", "sha256:0123", 2), "/a/b@sha256=0123/signature-2");
}

TEST(Lookaside, InATable) {
  const auto options = parseOptions(
      R"({"registries": {"a.example": {"lookaside": "https://b.example/s"}, "c.example": {}}})");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->find("a.example")->lookaside.url->host, "b.example");
  EXPECT_TRUE(options->find("c.example")->lookaside.empty());
  for (const char* value : {"\"nowhere\"", "7", "[]"}) {
    const auto wrong =
        parseOptions(std::string(R"({"registries": {"a.example": {"lookaside": )") + value + "}}}");
    EXPECT_THAT(std::string(wrong.status().message()),
                HasSubstr("registries.\"a.example\".lookaside"));
  }
}

TEST(Lookaside, Files) {
  const berth::testing::TemporaryDirectory folder;
  std::ofstream(folder / "signature-1") << "signed";
  EXPECT_EQ(*readLookaside(folder / "signature-1", 6), "signed");
  EXPECT_TRUE(absl::IsResourceExhausted(readLookaside(folder / "signature-1", 5).status()));
  EXPECT_TRUE(absl::IsNotFound(readLookaside(folder / "signature-2", 6).status()));
  // Nobody is waited for, and nothing but a file is read.
  ASSERT_EQ(::mkfifo((folder / "signature-3").c_str(), 0600), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(readLookaside(folder / "signature-3", 6).status()));
  std::filesystem::create_directory(folder / "signature-4");
  EXPECT_FALSE(readLookaside(folder / "signature-4", 6).ok());
}

}  // namespace
}  // namespace berth::registry
