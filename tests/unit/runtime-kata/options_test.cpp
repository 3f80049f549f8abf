// The options of runtime-kata.
#include "options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::kata {
namespace {

using testing::HasSubstr;

std::string refusalOf(const char* json) {
  return std::string(parseOptions(json, "/run/berth/kata").status().message());
}

TEST(Options, HaveDefaults) {
  const auto options = parseOptions("{}", "/run/berth/kata");
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->shim, "containerd-shim-kata-v2");
  EXPECT_EQ(options->isolation, Isolation::kVirtualMachine);
  EXPECT_EQ(options->root, "/run/berth/kata");
  EXPECT_EQ(options->createTimeout, 60);
}

TEST(Options, AreCheckedEachByItsName) {
  EXPECT_THAT(refusalOf(R"({"isolation": "jail"})"), HasSubstr("option isolation: "));
  EXPECT_THAT(refusalOf(R"({"shim": ""})"), HasSubstr("option shim: "));
  EXPECT_THAT(refusalOf(R"({"root": "here"})"), HasSubstr("option root: "));
  EXPECT_THAT(refusalOf(R"({"config_path": "k.toml"})"), HasSubstr("option config_path: "));
  EXPECT_THAT(refusalOf(R"({"create_timeout": 0})"), HasSubstr("option create_timeout: "));
  EXPECT_THAT(refusalOf(R"({"binary": "runc"})"), HasSubstr("option binary: "));
  EXPECT_THAT(std::string(parseOptions("{}", "/" + std::string(100, 'x')).status().message()),
              HasSubstr("option root: "));
}

TEST(Options, NameAShimThatExists) {
  EXPECT_EQ(*findShim("/bin/sh"), "/bin/sh");
  EXPECT_THAT(*findShim("sh"), testing::EndsWith("/sh"));
  EXPECT_TRUE(absl::IsFailedPrecondition(findShim("/no/such/shim").status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(findShim("no-such-shim").status()));
}

TEST(Options, KnowRuntimesByContainerdsNames) {
  const auto lookedFor = [](const char* option) {
    return std::string(findShim(option).status().message());
  };
  EXPECT_THAT(lookedFor("io.containerd.none.v2"), testing::HasSubstr("containerd-shim-none-v2 in"));
  EXPECT_THAT(lookedFor("org.example.none.v10"), testing::HasSubstr("containerd-shim-none-v10 in"));
  for (const char* own : {"io.containerd.none.2", "io.containerd.none.v", "io.containerd.none.vx",
                          "none.v2", "io.containerd..v2"}) {
    EXPECT_THAT(lookedFor(own), testing::HasSubstr(std::string("no ") + own + " in"));
  }
}

TEST(Options, HavePatterns) {
  const std::vector<std::string> patterns{"io.katacontainers.*", "exact"};
  EXPECT_TRUE(matchesAny("io.katacontainers.config.x", patterns));
  EXPECT_TRUE(matchesAny("exact", patterns));
  EXPECT_FALSE(matchesAny("exactly", patterns));
  EXPECT_FALSE(matchesAny("io.other", patterns));
}

}  // namespace
}  // namespace berth::kata
