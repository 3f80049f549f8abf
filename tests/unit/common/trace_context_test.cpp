#include "common/trace_context.hpp"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::common {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kSpan = "00f067aa0ba902b7";
const std::string kHeader = std::string("00-") + kTrace + "-" + kSpan + "-01";

TEST(TraceParent, NamesTraceAndSpan) {
  const TraceContext expected{kTrace, kSpan};
  EXPECT_EQ(parseTraceParent(kHeader), expected);
  std::string later = kHeader;
  later.replace(0, 2, "0a");
  EXPECT_EQ(parseTraceParent(later), expected);
  EXPECT_EQ(parseTraceParent(later + "-of a later version"), expected);
}

TEST(TraceParent, WhatIsNotValidCountsAsMissing) {
  const auto with = [](size_t at, size_t size, const char* text) {
    std::string header = kHeader;
    return header.replace(at, size, text);
  };
  for (const std::string& wrong :
       {std::string(), std::string("00"), kHeader.substr(0, kHeader.size() - 1), kHeader + "-x",
        kHeader + "0", with(0, 2, "ff"), with(0, 2, "0A"), with(2, 1, "_"), with(35, 1, "_"),
        with(52, 1, "_"), with(3, 1, "A"), with(3, 1, "g"), with(53, 2, "0x"),
        with(3, 32, "00000000000000000000000000000000"), with(36, 16, "0000000000000000"),
        with(0, 2, "01") + "x", kHeader.substr(0, 20)})
    EXPECT_EQ(parseTraceParent(wrong), std::nullopt) << wrong;
}

TEST(NewSpan, IsOfItsParentsTraceOrOfANewOne) {
  const TraceContext parent{kTrace, kSpan};
  const TraceContext child = newSpan(parent);
  EXPECT_EQ(child.trace, kTrace);
  EXPECT_NE(child.span, kSpan);
  const TraceContext first = newSpan(std::nullopt);
  EXPECT_THAT(first.trace, ::testing::MatchesRegex("[0-9a-f]{32}"));
  EXPECT_THAT(first.span, ::testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(newSpan(std::nullopt).trace, first.trace);
}

TEST(CallerTrace, IsTheThreadsOwn) {
  setCallerTrace(TraceContext{kTrace, kSpan});
  std::thread([] { EXPECT_EQ(callerTrace(), std::nullopt); }).join();
  EXPECT_EQ(callerTrace()->span, kSpan);
  setCallerTrace(std::nullopt);
  EXPECT_EQ(callerTrace(), std::nullopt);
}

}  // namespace
}  // namespace berth::common
