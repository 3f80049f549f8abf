#include "berth/support/suggestion.hpp"

#include <gtest/gtest.h>

namespace berth::support {
namespace {

TEST(SuggestionTest, EditDistance) {
  EXPECT_EQ(editDistance("", ""), 0u);
  EXPECT_EQ(editDistance("", "abc"), 3u);
  EXPECT_EQ(editDistance("socket", "socket"), 0u);
  EXPECT_EQ(editDistance("sockt", "socket"), 1u);
  EXPECT_EQ(editDistance("sokcet", "socket"), 1u);
  EXPECT_EQ(editDistance("kitten", "sitting"), 3u);
}

TEST(SuggestionTest, OnlyWhatIsNear) {
  const std::vector<std::string> names = {"socket", "socket_mode", "level"};
  EXPECT_EQ(nearest("sockets", names), "socket");
  EXPECT_EQ(nearest("socketmode", names), "socket_mode");
  EXPECT_EQ(nearest("colour", names), "");
  EXPECT_EQ(nearest(std::string(1000, 's'), names), "");
}

}  // namespace
}  // namespace berth::support
