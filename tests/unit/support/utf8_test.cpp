#include "berth/support/utf8.hpp"

#include <gtest/gtest.h>

namespace berth::support {
namespace {

TEST(Utf8, WellFormedIsWhatUnicodeSays) {
  for (const char* good :
       {"", "a", "é", "✓", "😀", "\xED\x9F\xBF", "\xEF\xBF\xBF", "\xF4\x8F\xBF\xBF"})
    EXPECT_TRUE(isUtf8(good)) << good;
  for (const char* bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x9F\xBF", "\xE2\x82", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"})
    EXPECT_FALSE(isUtf8(bad));
  EXPECT_TRUE(isUtf8(std::string_view("a\0b", 3)));
}

TEST(Utf8, WhatIsNoCharacterIsReplaced) {
  EXPECT_EQ(validUtf8("grün"), "grün");
  EXPECT_EQ(validUtf8("a\xC3(\xFFz\xE2\x82"), "a\uFFFD(\uFFFDz\uFFFD\uFFFD");
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(utf8Prefix("abü", 4), "abü");
  EXPECT_EQ(utf8Prefix("abü", 3), "ab");
  EXPECT_EQ(utf8Prefix("😀", 3), "");
  EXPECT_EQ(utf8Suffix("übc", 4), "übc");
  EXPECT_EQ(utf8Suffix("übc", 3), "bc");
  EXPECT_EQ(utf8Suffix("😀", 3), "");
  const std::string text = "aéb✓c😀d";
  for (size_t limit = 0; limit <= text.size(); ++limit) {
    EXPECT_TRUE(isUtf8(utf8Prefix(text, limit))) << limit;
    EXPECT_TRUE(isUtf8(utf8Suffix(text, limit))) << limit;
    EXPECT_LE(utf8Prefix(text, limit).size(), limit);
    EXPECT_LE(utf8Suffix(text, limit).size(), limit);
  }
  const std::string bytes(10, '\x80');
  EXPECT_EQ(utf8Prefix(bytes, 5).size(), 5u);
  EXPECT_EQ(utf8Suffix(bytes, 5).size(), 5u);
}

TEST(OneLine, KeepsUtf8AndCutsBetweenCharacters) {
  EXPECT_EQ(oneLine("grün ✓ 😀", 100), "grün ✓ 😀");
  EXPECT_EQ(oneLine("abü", 3), "ab…");
  EXPECT_EQ(oneLine("a\xC2\x9B"
                    "b\xFF\xC3(\xED\xA0\x80\xF4\x90\x80\x80z",
                    100),
            "a b ( z");
  EXPECT_EQ(oneLine("  a \t b  ", 100), "a b");
  EXPECT_EQ(oneLine("\xE2\x82", 100), "");
}

}  // namespace
}  // namespace berth::support
