#include "berth/support/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::support {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string errorOf(std::string_view text) {
  const auto value = parseJson(text, "the state");
  EXPECT_EQ(value.status().code(), absl::StatusCode::kInvalidArgument) << text;
  return std::string(value.status().message());
}

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonTest, ParsesValuesWithSpaceAround) {
  EXPECT_EQ(parseJson(" \n[1, true, null, \"x\"] \t\n", "x")->as_array().size(), 4u);
  EXPECT_EQ(parseJson("7", "x")->as_int64(), 7);
  EXPECT_EQ(parseJsonObject("{\"a\":1}", "x")->at("a").as_int64(), 1);
}

TEST(JsonTest, NamesDocumentAndOffset) {
  EXPECT_THAT(errorOf("{\"a\": nope}"), HasSubstr("parse the state: not valid JSON at byte 6"));
  EXPECT_THAT(errorOf("{\"a\": 1} x"), HasSubstr("at byte 9"));
  EXPECT_THAT(errorOf("{\"a\": 1}{\"b\": 2}"), HasSubstr("at byte 8"));
  EXPECT_THAT(errorOf("{\"a\": "), HasSubstr("ends early, after 6 bytes"));
  EXPECT_THAT(errorOf(""), HasSubstr("ends early"));
  EXPECT_THAT(errorOf("   "), HasSubstr("ends early"));
  EXPECT_THAT(errorOf("[1,]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(errorOf("'x'"), HasSubstr("not valid JSON at byte 0"));
  EXPECT_THAT(errorOf("[\"\xff\xfe\"]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(errorOf(std::string_view("[1\0]", 4)), HasSubstr("not valid JSON at byte 2"));
}

TEST(JsonTest, LimitsDepth) {
  EXPECT_TRUE(parseJson(nested(64), "x").ok());
  EXPECT_THAT(errorOf(nested(65)), HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(errorOf(std::string(1u << 20, '[')), HasSubstr("deeper than 64 levels"));
}

// Four bytes of text that take a hundred in memory.
TEST(JsonTest, LimitsParts) {
  const auto many = [](size_t count, std::string_view one) {
    std::string text = "[0";
    for (size_t i = 0; i < count; ++i) text += one;
    return text + "]";
  };
  constexpr size_t kMost = 1 << 20;
  EXPECT_TRUE(parseJson(many(kMost - 1, ",0"), "x").ok());
  EXPECT_THAT(errorOf(many(kMost, ",0")), HasSubstr("has more than 1048576 parts"));
  EXPECT_THAT(errorOf(many(kMost / 2, ",[0]")), HasSubstr("has more than 1048576 parts"));
  EXPECT_THAT(errorOf(many(kMost / 2, ",{\"a\":0}")), HasSubstr("has more than 1048576 parts"));
}

TEST(JsonTest, ObjectExpected) {
  const auto object = parseJsonObject("[1]", "the state");
  EXPECT_EQ(object.status().message(), "parse the state: expected a JSON object, not array");
}

TEST(JsonTest, LenientMembers) {
  const auto object = *parseJsonObject(
      R"({"s":"text","i":-3,"u":18446744073709551615,"d":2.0,"f":2.5,"big":1e300,"b":true,
          "l":["a",1,"b"],"o":{"x":1},"n":null})",
      "x");
  EXPECT_EQ(stringMember(object, "s"), "text");
  EXPECT_EQ(stringMember(object, "i", "other"), "other");
  EXPECT_EQ(stringMember(object, "missing", "other"), "other");
  EXPECT_EQ(intMember(object, "i"), -3);
  EXPECT_EQ(intMember(object, "d"), 2);
  EXPECT_EQ(intMember(object, "f", 9), 9);
  EXPECT_EQ(intMember(object, "u", 9), 9);
  EXPECT_EQ(intMember(object, "big", 9), 9);
  EXPECT_EQ(intMember(object, "s", 9), 9);
  // Unsigned when it was set, not read.
  EXPECT_EQ(intMember({{"uid", 1000u}}, "uid", 9), 1000);
  EXPECT_EQ(intMember({{"uid", UINT64_MAX}}, "uid", 9), 9);
  EXPECT_TRUE(boolMember(object, "b"));
  EXPECT_TRUE(boolMember(object, "n", true));
  EXPECT_THAT(stringsMember(object, "l"), ElementsAre("a", "b"));
  EXPECT_THAT(stringsMember(object, "o"), IsEmpty());
  ASSERT_NE(objectMember(object, "o"), nullptr);
  EXPECT_EQ(intMember(*objectMember(object, "o"), "x"), 1);
  EXPECT_EQ(objectMember(object, "l"), nullptr);
  EXPECT_EQ(arrayMember(object, "missing"), nullptr);
  EXPECT_EQ(arrayMember(object, "l")->size(), 3u);
}

}  // namespace
}  // namespace berth::support
