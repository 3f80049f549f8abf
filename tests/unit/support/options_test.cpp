#include "berth/support/options.hpp"

#include <boost/json.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::support {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Options, PathsAreQuotedAsTomlDoesIt) {
  EXPECT_EQ(optionPath({}, "bin_dirs"), "bin_dirs");
  EXPECT_EQ(optionPath("registries", "localhost"), "registries.localhost");
  EXPECT_EQ(optionPath("registries", "registry.example"), "registries.\"registry.example\"");
  EXPECT_EQ(optionPath("registries.\"*\"", "a \"b\""), "registries.\"*\".\"a \\\"b\\\"\"");
  EXPECT_EQ(optionPath({}, ""), "\"\"");
}

TEST(Options, ErrorsHaveTheFormThatHostsLocate) {
  const absl::Status status = optionError("bin_dirs[1]", "must be an absolute path");
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()), "option bin_dirs[1]: must be an absolute path");
}

TEST(Options, ListsHoldStringsOnly) {
  const boost::json::object options = {
      {"good", {"a", "b"}}, {"bad", {"a", 2}}, {"text", "a"}, {"empty", boost::json::array()}};
  EXPECT_THAT(*stringsOption(options, "good"), ElementsAre("a", "b"));
  EXPECT_THAT(*stringsOption(options, "empty"), IsEmpty());
  EXPECT_THAT(*stringsOption(options, "missing"), IsEmpty());
  EXPECT_EQ(std::string(stringsOption(options, "bad").status().message()),
            "option bad[1]: must be a string");
  EXPECT_EQ(std::string(stringsOption(options, "text").status().message()),
            "option text: must be an array of strings");
}

}  // namespace
}  // namespace berth::support
