#include "main/print.hpp"

#include <string>

#include <gtest/gtest.h>

namespace berth::program {
namespace {

TEST(Print, WhatOthersWroteSteersNoTerminal) {
  ::testing::internal::CaptureStdout();
  print("%-6s|%d %s\n", "web", 7, "a\x1b[2J");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "web   |7 a\\x1b[2J\n");
  ::testing::internal::CaptureStderr();
  printError("%s\n", "\rgone");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "\\x0dgone\n");
}

TEST(Print, TextMayBeLong) {
  const std::string text(1 << 20, 'x');
  ::testing::internal::CaptureStdout();
  print("%s", text.c_str());
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), text);
}

}  // namespace
}  // namespace berth::program
