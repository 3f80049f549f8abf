#include "engine/selinux_levels.hpp"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::engine {
namespace {

TEST(SeLinuxLevels, AreDifferentAndWellFormed) {
  SeLinuxLevels levels;
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    const std::string level = levels.take();
    EXPECT_THAT(level, ::testing::MatchesRegex("s0:c[0-9]+,c[0-9]+"));
    EXPECT_TRUE(seen.insert(level).second) << level;
  }
}

TEST(SeLinuxLevels, ThoseOfEarlierPodsAreNotGivenAgain) {
  SeLinuxLevels levels;
  const std::string mine = "s0:c1,c2";
  // Every pair but one: what is left is what is given.
  for (unsigned low = 0; low < 1024; ++low)
    for (unsigned high = low + 1; high < 1024; ++high)
      levels.claim("s0:c" + std::to_string(low) + ",c" + std::to_string(high));
  levels.release(mine);
  EXPECT_EQ(levels.take(), mine);
  levels.release("");
  levels.claim("");
}

}  // namespace
}  // namespace berth::engine
