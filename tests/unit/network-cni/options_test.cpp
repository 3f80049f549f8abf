#include "options.hpp"

#include <fstream>
#include <iterator>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "test_paths.hpp"

namespace berth::cni {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kCache = "/default/cache";

std::string failure(std::string_view json) {
  const auto options = parseOptions(json, kCache);
  EXPECT_EQ(options.status().code(), absl::StatusCode::kInvalidArgument) << json;
  return std::string(options.status().message());
}

TEST(OptionsTest, DeclaredDefaultsAreTheDefaults) {
  boost::json::object declared;
  const boost::json::value list =
      boost::json::parse({kDeclaredOptions.data(), kDeclaredOptions.size()});
  for (const auto& option : list.as_array())
    declared[option.at("key").as_string()] = option.at("default");
  const auto given = parseOptions(boost::json::serialize(declared), kCache);
  ASSERT_TRUE(given.ok()) << given.status();
  const Options byDefault;
  EXPECT_EQ(given->confDir, byDefault.confDir);
  EXPECT_EQ(given->binDirs, byDefault.binDirs);
  EXPECT_EQ(given->cacheDir, kCache);
  EXPECT_EQ(given->interface, byDefault.interface);
  EXPECT_EQ(given->maxConcurrent, 0u);
}

TEST(OptionsTest, TheManualNamesEachOption) {
  std::ifstream file(test_paths::manual);
  const std::string manual((std::istreambuf_iterator<char>(file)), {});
  const boost::json::value list =
      boost::json::parse({kDeclaredOptions.data(), kDeclaredOptions.size()});
  for (const auto& option : list.as_array())
    EXPECT_THAT(manual, HasSubstr("`" + std::string(option.at("key").as_string()) + "`"));
}

TEST(OptionsTest, ReadsAll) {
  const auto options = parseOptions(R"({"conf_dir": "/c", "bin_dirs": ["/b1", "/b2"],
      "cache_dir": "/s", "network_name": "net", "template": "/t", "max_concurrent": 4,
      "interface": "net0"})",
                                    kCache);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->confDir, "/c");
  EXPECT_THAT(options->binDirs, ElementsAre("/b1", "/b2"));
  EXPECT_EQ(options->cacheDir, "/s");
  EXPECT_EQ(options->networkName, "net");
  EXPECT_EQ(options->podCidrTemplate, "/t");
  EXPECT_EQ(options->maxConcurrent, 4u);
  EXPECT_EQ(options->interface, "net0");
}

TEST(OptionsTest, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(failure(R"({"conf_dir": "relative"})"), HasSubstr("conf_dir"));
  EXPECT_THAT(failure(R"({"conf_dir": 1})"), HasSubstr("conf_dir"));
  EXPECT_THAT(failure(R"({"bin_dirs": []})"), HasSubstr("bin_dirs"));
  EXPECT_THAT(failure(R"({"bin_dirs": ["/a:/b"]})"), HasSubstr("colon"));
  EXPECT_THAT(failure(R"({"bin_dirs": [1]})"), HasSubstr("bin_dirs"));
  EXPECT_THAT(failure(R"({"cache_dir": "relative"})"), HasSubstr("cache_dir"));
  EXPECT_THAT(failure(R"({"network_name": "a/b"})"), HasSubstr("network_name"));
  EXPECT_THAT(failure(R"({"template": "t"})"), HasSubstr("template"));
  EXPECT_THAT(failure(R"({"max_concurrent": -1})"), HasSubstr("max_concurrent"));
  EXPECT_THAT(failure(R"({"interface": "sixteen-letters-"})"), HasSubstr("interface"));
  EXPECT_THAT(failure(R"({"interface": "lo"})"), HasSubstr("interface"));
}

}  // namespace
}  // namespace berth::cni
