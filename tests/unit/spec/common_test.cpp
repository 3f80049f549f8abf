#include "common/capability_names.hpp"
#include "common/text.hpp"
#include "engine/spec/text.hpp"
#include "fixture.hpp"

namespace berth::spec {
namespace {

using test::invalid;
using testing::ElementsAre;

TEST(CapabilityNames, AreFoundInEveryForm) {
  EXPECT_EQ(common::capabilityNumber("CAP_SYS_ADMIN"), 21);
  EXPECT_EQ(common::capabilityNumber("sys_admin"), 21);
  EXPECT_EQ(common::capabilityNumber("CHECKPOINT_RESTORE"), 40);
  EXPECT_EQ(common::capabilityNumber("CAP_CAP_CHOWN"), std::nullopt);
  EXPECT_EQ(common::capabilityNumber(""), std::nullopt);
  for (int number = 0; number < common::kCapabilityCount; ++number)
    EXPECT_EQ(common::capabilityNumber(common::capabilityName(number)), number);
}

TEST(CapabilityNames, LeaveOutBitsWithoutName) {
  EXPECT_THAT(common::capabilityNames((uint64_t{1} << 62) | 1), ElementsAre("CAP_CHOWN"));
}

TEST(Text, Splits) {
  EXPECT_THAT(common::split("a,,b,", ','), ElementsAre("a", "", "b", ""));
  EXPECT_THAT(common::split("", ','), ElementsAre(""));
}

TEST(Text, ParsesWholeNumbersAlone) {
  EXPECT_EQ(common::parseNumber<int>("-12"), -12);
  EXPECT_EQ(common::parseNumber<unsigned>("ff", 16), 255u);
  for (const char* text : {"", " 1", "1 ", "+1", "1x", "99999999999"})
    EXPECT_EQ(common::parseNumber<int>(text), std::nullopt) << text;
  EXPECT_EQ(common::parseNumber<unsigned>("-1"), std::nullopt);
}

TEST(Text, CleansPaths) {
  const std::pair<const char*, const char*> cases[] = {{"/a/./b//c/../d/", "/a/b/d"},
                                                       {"/../..", "/"},
                                                       {"/", "/"},
                                                       {"a/../..", ".."},
                                                       {"../a", "../a"},
                                                       {"a/b/../c", "a/c"},
                                                       {"", "."},
                                                       {"./", "."}};
  for (const auto& [path, clean] : cases) EXPECT_EQ(cleanPath(path), clean) << path;
}

TEST(Text, ChecksUtf8) {
  EXPECT_TRUE(checkText("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8b", "x").ok());
  EXPECT_THAT(checkText(std::string_view("a\0", 2), "the thing"), invalid("the thing contains"));
  for (const char* text : {"ab\xff", "\xc0\x80", "\xe2\x82", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                           "\xe0\x80\x80", "\xf0\x80\x80\x80", "\x80"})
    EXPECT_THAT(checkText(text, "the thing"), invalid("the thing is not UTF-8 at byte")) << text;
}

}  // namespace
}  // namespace berth::spec
