#include "config/toml_text.hpp"

#include <limits>

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace berth::config {
namespace {

TEST(TomlTextTest, Strings) {
  EXPECT_EQ(quote("a\"b\\c\n\t\r\b\f\x01\x7fü"), "\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\\u007Fü\"");
  EXPECT_EQ(keyText("a-b_C9"), "a-b_C9");
  EXPECT_EQ(keyText(""), "\"\"");
  EXPECT_EQ(keyText("a.b"), "\"a.b\"");
  EXPECT_EQ(keyText("ü"), "\"ü\"");
  EXPECT_EQ(arrayText({}), "[]");
  EXPECT_EQ(arrayText({"a", "b\""}), "[\"a\", \"b\\\"\"]");
}

TEST(TomlTextTest, FloatsStayFloats) {
  EXPECT_EQ(floatText(2), "2.0");
  EXPECT_EQ(floatText(0.1), "0.1");
  EXPECT_EQ(floatText(-1e300), "-1e+300");
  EXPECT_EQ(floatText(std::numeric_limits<double>::infinity()), "inf");
}

TEST(TomlTextTest, NestedValues) {
  const auto value = boost::json::parse(R"({"a":[1,{"b c":true}],"d":{},"e":1.0})");
  EXPECT_EQ(valueText(value), "{ a = [1, { \"b c\" = true }], d = {}, e = 1.0 }");
  EXPECT_EQ(tableText(value.as_object(), "x.y"),
            "[x.y]\na = [1, { \"b c\" = true }]\ne = 1.0\n\n[x.y.d]\n");
}

}  // namespace
}  // namespace berth::config
