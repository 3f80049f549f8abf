#include "cri/convert.hpp"

#include <gtest/gtest.h>

#include "berth/support/utf8.hpp"

namespace berth::cri {
namespace {

std::string messageOf(const std::string& given) {
  return toGrpc(absl::InternalError(given)).error_message();
}

TEST(ToGrpc, MessagesAreShortEnoughForClientsAndUtf8) {
  EXPECT_EQ(messageOf("short"), "short");
  EXPECT_EQ(messageOf("odd \xFF"), "odd \uFFFD");
  std::string text;
  while (text.size() < 3000) text += "é";
  for (const std::string& given : {text, "x" + text}) {
    const std::string message = messageOf(given);
    EXPECT_TRUE(support::isUtf8(message));
    EXPECT_GT(message.size(), 2040u);
    EXPECT_LT(message.size(), 2060u);
    EXPECT_TRUE(message.ends_with(" …"));
  }
}

}  // namespace
}  // namespace berth::cri
