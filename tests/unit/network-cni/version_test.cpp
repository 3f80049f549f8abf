#include "version.hpp"

#include <gmock/gmock.h>

namespace berth::cni {
namespace {

TEST(VersionTest, ReadsThreeNumbers) {
  const auto version = parseVersion("0.3.1");
  ASSERT_TRUE(version.ok());
  EXPECT_EQ(*version, (Version{0, 3, 1}));
  EXPECT_EQ(version->text(), "0.3.1");
}

TEST(VersionTest, RefusesOtherTexts) {
  for (const char* text : {"", "1", "1.0", "1.0.", "1.0.0.0", "1.0.x", "v1.0.0", "1.-1.0", " 1.0.0",
                           "99999999999.0.0"})
    EXPECT_FALSE(parseVersion(text).ok()) << text;
}

TEST(VersionTest, Orders) {
  EXPECT_LT((Version{0, 4, 0}), (Version{1, 0, 0}));
  EXPECT_LT((Version{0, 3, 1}), (Version{0, 4, 0}));
  EXPECT_GE((Version{1, 1, 0}), kWithGc);
}

TEST(VersionTest, ChoosesTheHighestThatAllSupport) {
  const std::vector<Version> offered = {{0, 4, 0}, {1, 1, 0}, {1, 0, 0}};
  EXPECT_EQ(*chooseVersion(offered, {}), (Version{1, 1, 0}));
  EXPECT_EQ(*chooseVersion(offered, {{{0, 4, 0}, {1, 0, 0}, {1, 1, 0}}, {{0, 4, 0}, {1, 0, 0}}}),
            (Version{1, 0, 0}));
  EXPECT_EQ(chooseVersion(offered, {{{0, 3, 1}}}).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace berth::cni
