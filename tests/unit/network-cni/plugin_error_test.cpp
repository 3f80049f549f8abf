#include "plugin_error.hpp"

#include <gmock/gmock.h>

#include "berth/support/utf8.hpp"

namespace berth::cni {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::Status error(std::string out, std::string err = {}, int code = 1) {
  return pluginError("CNI plugin bridge ADD", {code, std::move(out), std::move(err)});
}

std::string text(const absl::Status& status) {
  return std::string(status.message());
}

TEST(PluginErrorTest, HoldsCodeMessageAndDetails) {
  const absl::Status status =
      error(R"({"cniVersion": "1.0.0", "code": 107, "msg": "no lease", "details": "timeout"})");
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(text(status), AllOf(StartsWith("CNI plugin bridge ADD: "), HasSubstr("no lease"),
                                  HasSubstr("timeout"), HasSubstr("107")));
}

TEST(PluginErrorTest, MapsTheWellKnownCodes) {
  const auto code = [](int number) {
    return error(R"({"code": )" + std::to_string(number) + R"(, "msg": "m"})").code();
  };
  for (const int config : {1, 2, 7}) EXPECT_EQ(code(config), absl::StatusCode::kFailedPrecondition);
  for (const int later : {11, 50, 51}) EXPECT_EQ(code(later), absl::StatusCode::kUnavailable);
  EXPECT_EQ(code(3), absl::StatusCode::kNotFound);
  for (const int other : {0, 4, 5, 6, 999}) EXPECT_EQ(code(other), absl::StatusCode::kInternal);
}

TEST(PluginErrorTest, RecognisesTryAgainLaterByItsWords) {
  EXPECT_EQ(error(R"({"code": 100, "msg": "Try again later"})").code(),
            absl::StatusCode::kUnavailable);
}

TEST(PluginErrorTest, FindsTheErrorOnStandardError) {
  EXPECT_THAT(text(error("", R"({"code": 5, "msg": "short read"})")), HasSubstr("short read"));
}

TEST(PluginErrorTest, QuotesWhatIsNoErrorObject) {
  EXPECT_THAT(text(error("", "panic: nil map\n")),
              AllOf(HasSubstr("exit code 1"), HasSubstr("panic: nil map")));
  EXPECT_THAT(text(error("", "", 137)), HasSubstr("signal 9"));
  EXPECT_THAT(text(error("{}")), HasSubstr("exit code 1"));
}

TEST(PluginErrorTest, ShortensLongOutput) {
  const std::string printed = text(error("", "first " + std::string(100'000, 'x') + " last"));
  EXPECT_LT(printed.size(), 2000u);
  EXPECT_THAT(printed, AllOf(HasSubstr("first"), HasSubstr("last")));
}

TEST(PluginErrorTest, StaysUtf8) {
  std::string long_text = "x";  // so that neither cut is between two characters
  while (long_text.size() < 5000) long_text += "é";
  EXPECT_TRUE(support::isUtf8(text(error("", long_text))));
  EXPECT_TRUE(support::isUtf8(text(error("", long_text + "x"))));
  EXPECT_THAT(text(error("", "at \xC3 end")), HasSubstr("at \uFFFD end"));
}

}  // namespace
}  // namespace berth::cni
