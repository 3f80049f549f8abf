// berth/helpers.h, as plugins in C use it.
#include "berth/helpers.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "berth/snapshotter.hpp"

namespace berth {
namespace {

std::string text(std::string_view json, size_t capacity = 64) {
  std::vector<char> target(capacity);
  return berth_json_text(str(json), target.data(), capacity) != 0 ? target.data() : "none";
}

TEST(Helpers, TextOfJson) {
  EXPECT_EQ(text(R"("plain")"), "plain");
  EXPECT_EQ(text(R"("a\"b\\c\/d\n\t")"), "a\"b\\c/d\n\t");
  EXPECT_EQ(text(R"("\u00e4\u20ac\ud83d\ude00 \u0041")"), "ä€😀 A");
  EXPECT_EQ(text(R"("")"), "");
  // No strings, with a NUL, cut off, or too long for the target.
  for (const char* other : {"17", "", "{}", "\"", R"("a\u0000b")"}) EXPECT_EQ(text(other), "none");
  EXPECT_EQ(text(R"("\u00")"),
            "\uFFFD"
            "00")
      << "an escape that is cut off";
  EXPECT_EQ(text(R"("1234567890")", 8), "none");
  EXPECT_EQ(text(R"("1234567890")", 16), "1234567890");
}

TEST(Helpers, MembersOfJson) {
  const berth_str json = str(
      R"( {"a": "x,}", "b" : [1, {"b": 2}, "]"], "c":{"d":{}}, "n": -12, "t": true, "e": ""} )");
  EXPECT_EQ(view(berth_json_member(json, "a")), R"("x,}")");
  EXPECT_EQ(view(berth_json_member(json, "b")), R"([1, {"b": 2}, "]"])");
  EXPECT_EQ(view(berth_json_member(json, "c")), R"({"d":{}})");
  EXPECT_EQ(berth_json_integer(json, "n", 7), -12);
  EXPECT_EQ(berth_json_integer(json, "a", 7), 7);
  EXPECT_EQ(berth_json_integer(json, "none", 7), 7);
  EXPECT_NE(berth_json_boolean(json, "t"), 0);
  EXPECT_EQ(berth_json_boolean(json, "n"), 0);
  EXPECT_TRUE(view(berth_json_member(json, "d")).empty());
  char value[8] = "x";
  EXPECT_NE(berth_json_string(json, "e", value, sizeof value), 0);
  EXPECT_STREQ(value, "");
  EXPECT_EQ(berth_json_string(json, "none", value, sizeof value), 0);
}

TEST(Helpers, ElementsOfJson) {
  berth_json all = berth_json_open(str(R"([ "one" ,2,[3], {} ])"));
  std::vector<std::string> found;
  for (berth_str value; berth_json_next(&all, nullptr, &value) != 0;) found.push_back(copy(value));
  EXPECT_EQ(found, (std::vector<std::string>{"\"one\"", "2", "[3]", "{}"}));
  all = berth_json_open(str("[]"));
  EXPECT_EQ(berth_json_next(&all, nullptr, nullptr), 0);
}

// Of what is no JSON nothing in particular is found, but an end.
TEST(Helpers, WhatIsNoJsonHasAnEnd) {
  const std::string good = R"({"a": [1, "x\u0041", {"b": null}], "c": "\\"})";
  for (size_t length = 0; length <= good.size(); ++length) {
    for (const std::string& bad : {good.substr(0, length), good.substr(length) + good}) {
      const std::vector<char> exact(bad.begin(), bad.end());
      berth_json all = berth_json_open({exact.data(), exact.size()});
      int count = 0;
      for (berth_str key, value; berth_json_next(&all, &key, &value) != 0; ++count) {
        char target[32];
        berth_json_text(value, target, sizeof target);
        ASSERT_LT(count, 100) << bad;
      }
    }
  }
  EXPECT_EQ(berth_json_member(berth_str{nullptr, 0}, "a").size, 0u);
}

TEST(Helpers, MessagesOfErrors) {
  std::string told;
  berth_code code = BERTH_OK;
  auto set = [&](berth_code given, berth_str message) {
    code = given;
    told = copy(message);
  };
  using Set = decltype(set);
  berth_error error{sizeof error, &set, [](berth_error* self, berth_code given, berth_str message) {
                      (*static_cast<Set*>(self->host))(given, message);
                    }};
  EXPECT_EQ(berth_failf(&error, BERTH_NOT_FOUND, "no %.*s of %d", BERTH_ARG(str("layer")), 3),
            BERTH_NOT_FOUND);
  EXPECT_EQ(code, BERTH_NOT_FOUND);
  EXPECT_EQ(told, "no layer of 3");
  EXPECT_EQ(berth_failf(&error, BERTH_INTERNAL, "%s", std::string(5000, 'x').c_str()),
            BERTH_INTERNAL);
  EXPECT_EQ(told, std::string(1023, 'x'));
  EXPECT_EQ(berth_failf(nullptr, BERTH_ABORTED, "nobody listens"), BERTH_ABORTED);
}

TEST(Helpers, StructsOfOtherSizes) {
  struct Future {
    berth_usage now;
    uint64_t added;
  } future{{sizeof(Future), 1, 2}, 3};
  berth_usage mine;
  berth_known(&mine, sizeof mine, &future);
  EXPECT_EQ(mine.size, sizeof mine);
  EXPECT_EQ(mine.inodes, 2u);
  berth_usage old{offsetof(berth_usage, inodes), 1, 2};
  berth_known(&mine, sizeof mine, &old);
  EXPECT_EQ(mine.bytes, 1u);
  EXPECT_EQ(mine.inodes, 0u);
  berth_known(&mine, sizeof mine, nullptr);
  EXPECT_EQ(mine.bytes, 0u);
  EXPECT_EQ(mine.size, sizeof mine);

  const berth_usage value{sizeof value, 10, 20};
  berth_give(&old, &value, sizeof value);
  EXPECT_EQ(old.size, offsetof(berth_usage, inodes));
  EXPECT_EQ(old.bytes, 10u);
  EXPECT_EQ(old.inodes, 2u) << "it does not know this one";
  berth_give(&future, &value, sizeof value);
  EXPECT_EQ(future.now.size, sizeof future);
  EXPECT_EQ(future.now.inodes, 20u);
  EXPECT_EQ(future.added, 3u);
}

TEST(Helpers, Copies) {
  char target[4];
  EXPECT_NE(berth_copy(target, sizeof target, str("abc")), 0);
  EXPECT_STREQ(target, "abc");
  EXPECT_EQ(berth_copy(target, sizeof target, str("abcd")), 0);
  EXPECT_EQ(berth_copy(target, sizeof target, str(std::string_view("a\0b", 3))), 0);
  EXPECT_NE(berth_copy(target, sizeof target, berth_str{nullptr, 0}), 0);
  EXPECT_NE(berth_format(target, sizeof target, "%d", 123), 0);
  EXPECT_EQ(berth_format(target, sizeof target, "%d", 1234), 0);
  EXPECT_NE(berth_equal(berth_str{nullptr, 0}, ""), 0);
  EXPECT_EQ(berth_equal(str("ab"), "abc"), 0);
}

}  // namespace
}  // namespace berth
