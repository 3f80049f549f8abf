// Images and power cuts: what is durable before what, and what is made of an image that lost some.
#include <future>

#include "../store/disk_faults.hpp"
#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

using store::testing::disk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageDurabilityTest : public testing::ImageServiceTest {
 protected:
  void TearDown() override {
    store::testing::letSyncsGo();
    disk.failSyncs = false;
    ImageServiceTest::TearDown();
  }
};

// Damage, or a power cut: what is left of an image is not offered as one.
TEST_F(ImageDurabilityTest, AnImageThatLacksLayersIsNotThereUntilItIsPulledAgain) {
  publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("other:1").ok());
  loseLayer(one_);
  open();
  EXPECT_THAT(reports_, ElementsAre(HasSubstr("a.example/app:1")));
  reports_.clear();
  EXPECT_EQ(images_->find("a.example/app:1").status().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_THAT(images_->list()[0]->repoTags, ElementsAre("a.example/other:1"));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(count("apply"), 3u) << "only the lost layer is fetched";
  EXPECT_EQ(images_->list().size(), 2u);
  open();
  EXPECT_EQ(images_->list().size(), 2u);
  // Its claims are those of an image that was never incomplete.
  for (const char* name : {"a.example/app:1", "a.example/other:1"}) {
    ASSERT_TRUE(images_->remove(op_, name).ok());
  }
  awaitNoLayers();
}

TEST_F(ImageDurabilityTest, WhatIsLeftOfAnIncompleteImageGoesWhenImagesAreRemoved) {
  publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("other:1").ok());
  loseLayer(one_);
  open();
  reports_.clear();
  ASSERT_TRUE(images_->remove(op_, "a.example/other:1").ok());
  awaitNoLayers();
  open();
  EXPECT_TRUE(images_->list().empty());
}

// A disk that was not mounted: the next start may find them whole.
TEST_F(ImageDurabilityTest, IncompleteImagesStayWhenThereAreNoOthers) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("other:1").ok());
  loseLayer(one_);
  loseLayer(two_);
  open();
  reports_.clear();
  EXPECT_TRUE(images_->list().empty());
  ASSERT_TRUE(images_->remove(op_, "a.example/other:1").ok());
  EXPECT_EQ(store_->list("image")->size(), 1u) << "the one that was named is gone";
}

// Otherwise a power cut could bring an image back whose layers are gone.
TEST_F(ImageDurabilityTest, LayersGoOnlyOnceTheRemovalIsDurable) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  disk.failSyncs = true;
  const int before = disk.logSyncs;
  ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok()) << "nobody waits for the disk";
  while (disk.logSyncs == before) std::this_thread::yield();
  images_.reset();  // ends the collector after its round
  EXPECT_THAT(layers(), ElementsAre(sha256(one_)));
  disk.failSyncs = false;
  open();
  awaitNoLayers();
}

TEST_F(ImageDurabilityTest, AnImageWhoseRecordCannotBeMadeDurableIsNotThere) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  const std::string old = (*images_->find("a.example/app:1"))->id;
  publish("app:1", {two_}, {testing::gzip(two_)});
  disk.failSyncs = true;
  EXPECT_FALSE(pull("app:1").ok());
  EXPECT_EQ((*images_->find("a.example/app:1"))->id, old) << "the tag is where it was";
  disk.failSyncs = false;
  open();
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_EQ((*images_->find("a.example/app:1"))->id, old);
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_NE((*images_->find("a.example/app:1"))->id, old);
}

TEST_F(ImageDurabilityTest, WhoWaitsForTheDiskHoldsNobodyUp) {
  // Of the same image the removal would be one of both.
  publish("app:1", {one_}, {testing::gzip(one_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  for (const char* name : {"app:1", "other:1"}) ASSERT_TRUE(pull(name).ok());
  const int before = disk.logSyncs;
  disk.holdSyncs = true;
  auto pinned = std::async(std::launch::async,
                           [this] { return images_->setPinned("a.example/app:1", true); });
  while (disk.logSyncs == before) std::this_thread::yield();
  auto removed =
      std::async(std::launch::async, [this] { return images_->remove(op_, "a.example/other:1"); });
  EXPECT_EQ(removed.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_EQ(pinned.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  store::testing::letSyncsGo();
  EXPECT_TRUE(removed.get().ok());
  EXPECT_TRUE(pinned.get().ok());
}

}  // namespace
}  // namespace berth::images
