// Images as the CRI shows them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cri/image_service.hpp"

namespace berth::cri {
namespace {

using testing::Pair;
using testing::UnorderedElementsAre;

images::Image image() {
  images::Image result;
  result.id = "sha256:" + std::string(64, 'a');
  result.repoTags = {"a.example/team/app:1"};
  result.repoDigests = {"a.example/team/app@sha256:" + std::string(64, 'd')};
  return result;
}

TEST(ImagesTest, AUserIsANumberOrAName) {
  images::Image given = image();
  const std::pair<const char*, int64_t> numbers[] = {
      {"0", 0}, {"1000:staff", 1000}, {"1000650000", 1000650000}, {"4294967295:5", 4294967295}};
  for (const auto& [user, uid] : numbers) {
    given.config.user = user;
    const runtime::v1::Image shown = toCri(given, {});
    ASSERT_TRUE(shown.has_uid()) << user;
    EXPECT_EQ(shown.uid().value(), uid);
    EXPECT_EQ(shown.username(), "") << user;
  }
  for (const char* user : {"www-data", "www-data:0", "12x", "-1", ""}) {
    given.config.user = user;
    const runtime::v1::Image shown = toCri(given, {});
    EXPECT_FALSE(shown.has_uid()) << user;
    EXPECT_EQ(shown.username(), std::string(user).substr(0, std::string(user).find(':')));
  }
}

TEST(ImagesTest, ThoseThatAPatternNamesArePinned) {
  for (const char* pattern : {"a.example/team/app:1", "a.example/*", "*/app@sha256:*", "*"})
    EXPECT_TRUE(toCri(image(), {"other", pattern}).pinned()) << pattern;
  for (const char* pattern : {"a.example/team/app", "a.example/team/app:2", "team/*"})
    EXPECT_FALSE(toCri(image(), {pattern}).pinned()) << pattern;
  EXPECT_FALSE(toCri(image(), {}).pinned());
  images::Image kept = image();
  kept.pinned = true;
  EXPECT_TRUE(toCri(kept, {}).pinned());
}

TEST(ImagesTest, AnnotationsAreShown) {
  images::Image given = image();
  EXPECT_FALSE(toCri(given, {}).has_spec());
  given.annotations = {{"org.opencontainers.image.version", "1.2"}, {"a", ""}};
  EXPECT_THAT(toCri(given, {}).spec().annotations(),
              UnorderedElementsAre(Pair("org.opencontainers.image.version", "1.2"), Pair("a", "")));
}

TEST(ImagesTest, WhatAnImageSaysOfItselfIsBounded) {
  images::Image given = image();
  given.annotations = {{"a", std::string(8000, 'x')},
                       {"b", std::string(8u << 20, 'x')},
                       {"c", std::string(8000, 'x')},
                       {"d", std::string(8000, 'x')},
                       {"e", "short"}};
  given.config.user = std::string(1u << 20, 'u');
  const runtime::v1::Image shown = toCri(given, {});
  EXPECT_THAT(
      shown.spec().annotations(),
      UnorderedElementsAre(Pair("a", testing::_), Pair("c", testing::_), Pair("e", "short")));
  EXPECT_EQ(shown.username(), std::string(256, 'u'));
  EXPECT_LT(shown.ByteSizeLong(), 20'000u);
}

}  // namespace
}  // namespace berth::cri
