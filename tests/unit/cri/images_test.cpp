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
    given.user = user;
    const runtime::v1::Image shown = toCri(given, {});
    ASSERT_TRUE(shown.has_uid()) << user;
    EXPECT_EQ(shown.uid().value(), uid);
    EXPECT_EQ(shown.username(), "") << user;
  }
  for (const char* user : {"www-data", "www-data:0", "12x", "-1", ""}) {
    given.user = user;
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
  given.user = std::string(images::kMostUserBytes, 'u');
  EXPECT_EQ(toCri(given, {}).username(), std::string(256, 'u'));
}

// The kubelet takes 16 MiB, and without the list it frees no disk.
TEST(ImagesTest, AListOfManyImagesFitsIntoAReply) {
  std::vector<std::shared_ptr<const images::Image>> many;
  for (int number = 0; number < 2000; ++number) {
    auto one = std::make_shared<images::Image>(image());
    one->annotations = {{"a", std::string(images::kMostAnnotationBytes - 1, 'x')}};
    many.push_back(std::move(one));
  }
  runtime::v1::ListImagesResponse reply;
  for (runtime::v1::Image& one : toCri(many, {"a.example/*"})) *reply.add_images() = std::move(one);
  EXPECT_EQ(reply.images_size(), 2000);
  EXPECT_LT(reply.ByteSizeLong(), 8u << 20);
  EXPECT_TRUE(reply.images(0).has_spec());
  EXPECT_FALSE(reply.images(1999).has_spec());
  EXPECT_TRUE(reply.images(1999).pinned());
  EXPECT_EQ(reply.images(1999).repo_tags_size(), 1);
}

}  // namespace
}  // namespace berth::cri
