// A check of the storage: what is damaged is told, and with repair it alone is fetched again.
#include "image_service_fixture.hpp"
#include "records.pb.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using support::strCat;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::StartsWith;

class StorageCheckTest : public testing::ImageServiceTest {
 protected:
  // Each as "STATE WHAT: DETAIL"; those that are sound have the mark "0".
  std::vector<std::string> check(const StorageRequest& request) {
    std::vector<std::string> told;
    const absl::Status status =
        images_->checkStorage(op_, request, [&told](const StorageFinding& finding) {
          told.push_back(
              strCat(static_cast<int>(finding.state), " ", finding.what, ": ", finding.detail));
        });
    EXPECT_TRUE(status.ok()) << status;
    return told;
  }
  static std::string mark(StorageState state) { return strCat(static_cast<int>(state), " "); }
  void damageLayer(const std::string& tar) const {
    fs::resize_file(host_.directory() / ("root/plugins/snapshotter-snap/" + sha256(tar)), 0);
  }
};

TEST_F(StorageCheckTest, WhatIsSoundIsCounted) {
  publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_THAT(check({}), IsSupersetOf({"0 images: 1 of 1 are what they were",
                                       "0 layers of snap: 2 of 2 are what they were",
                                       "0 layers of second: 0 of 0 are what they were"}));
  EXPECT_THAT(check({.depth = StorageDepth::kSetAside}),
              Each(HasSubstr("layer of a newer version")));
}

TEST_F(StorageCheckTest, ADamagedLayerIsDroppedAndFetchedAlone) {
  const std::string id = publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("other:1").ok());
  damageLayer(one_);
  const std::string what = strCat("layer ", sha256(one_), " of snap: ");
  EXPECT_THAT(check({.depth = StorageDepth::kQuick}), Contains(HasSubstr("tar is short")));
  EXPECT_THAT(check({}), Contains(strCat(mark(StorageState::kDamaged), what, "tar is empty\n",
                                         "part of image a.example/app:1 (", id, ")")));
  EXPECT_EQ(images_->list().size(), 2u) << "looking changes nothing";

  const std::vector<std::string> told = check({.repair = true});
  EXPECT_THAT(told, Contains(StartsWith(strCat(mark(StorageState::kRepaired), what))));
  EXPECT_THAT(
      told, Contains(StartsWith(strCat(mark(StorageState::kIncomplete), "image a.example/app:1"))));
  ASSERT_EQ(images_->list().size(), 1u);
  EXPECT_EQ(count("drop"), 1u);
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(count("apply"), 3u) << "only the dropped layer is fetched";
  EXPECT_EQ(images_->list().size(), 2u);
  EXPECT_THAT(check({}), Contains("0 layers of snap: 2 of 2 are what they were"));
  // Its claims are those of an image that was never damaged.
  for (const char* name : {"a.example/app:1", "a.example/other:1"})
    ASSERT_TRUE(images_->remove(op_, name).ok());
  awaitNoLayers();
}

TEST_F(StorageCheckTest, AManifestThatIsNotTheOneOfItsDigestHidesTheImage) {
  const std::string id = publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  records::ImageRecord record;
  ASSERT_TRUE(record.ParseFromString(*store_->get("image", id)));
  record.set_manifest(record.manifest() + " ");
  ASSERT_TRUE(store_->put("image", id, record.SerializeAsString()).ok());
  EXPECT_THAT(check({}), Contains(HasSubstr("the database does not have it as it was written")));
  open();
  EXPECT_THAT(reports_, ElementsAre(HasSubstr("its manifest does not have the digest")));
  reports_.clear();
  EXPECT_TRUE(images_->list().empty());
  EXPECT_THAT(
      check({}),
      Contains(StartsWith(strCat(mark(StorageState::kIncomplete), "image a.example/app:1"))));
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(count("apply"), 1u) << "its layer was there";
  EXPECT_THAT(check({}), Contains("0 images: 1 of 1 are what they were"));
  open();
  EXPECT_EQ(images_->list().size(), 1u);
}

TEST_F(StorageCheckTest, OfARecordThatTheDatabaseHasLostTheNextPullFetchesAlone) {
  const std::string id = publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  const std::string good = *store_->get("image", id);
  for (const char* bad : {"\xff\xff", ""}) {
    ASSERT_TRUE(store_->put("image", id, bad).ok());
    if (*bad == '\0') {
      ASSERT_TRUE(store_->erase("image", id).ok());
    }
    const std::string what = strCat("record of image ", id);
    EXPECT_THAT(check({}), IsSupersetOf({HasSubstr(mark(StorageState::kDamaged) + what),
                                         HasSubstr("images: 0 of 1")}));
    EXPECT_EQ(images_->list().size(), 1u) << "looking changes nothing";
    EXPECT_THAT(check({.repair = true}), Contains(HasSubstr(mark(StorageState::kRepaired) + what)));
    for (int i = 0; i < 2; ++i, open()) {
      EXPECT_TRUE(images_->list().empty());
      EXPECT_THAT(check({}), AllOf(Not(Contains(HasSubstr(what))),
                                   Contains(StartsWith(strCat(mark(StorageState::kIncomplete),
                                                              "image a.example/app:1")))));
    }
    EXPECT_THAT(reports_, Contains(HasSubstr("its manifest does not have the digest")));
    reports_.clear();
    ASSERT_TRUE(pull("app:1").ok());
    EXPECT_EQ(*store_->get("image", id), good);
    EXPECT_THAT(check({}), Contains("0 images: 1 of 1 are what they were"));
  }
  EXPECT_EQ(count("apply"), 1u) << "its layer was there";
  ASSERT_TRUE(store_->put("image", "sha256:nobody", "x").ok());
  EXPECT_THAT(check({.repair = true}), Contains(HasSubstr("sha256:nobody")));
  EXPECT_EQ(store_->list("image")->size(), 1u);
}

TEST_F(StorageCheckTest, EndsWhenItIsCancelled) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  op_.cancel();
  EXPECT_EQ(images_->checkStorage(op_, {}, [](const StorageFinding&) {}).code(),
            absl::StatusCode::kCancelled);
}

}  // namespace
}  // namespace berth::images
