// One name, several platforms: what each means on a node.
#include "image_service_fixture.hpp"
#include "images/name_platforms.hpp"

namespace berth::images {
namespace {

using support::strCat;
using ::testing::ElementsAre;
using testing::gzip;
using testing::ImageServiceTest;
using ::testing::IsEmpty;

constexpr const char* kOther = "linux/arm64";
constexpr const char* kName = "a.example/app:1";

class PlatformsTest : public ImageServiceTest {
 protected:
  // An index of two platforms; what it calls their images is theirs.
  std::string publishIndex(const std::string& tar, const std::string& otherTar) {
    const std::string entries = strCat(entry("amd64", tar), ",", entry("arm64", otherTar));
    const std::string index = strCat(R"({"schemaVersion": 2, "manifests": [)", entries, "]}");
    write("a.example_app:1", blob(index));
    ownId_ = sha256(config({tar}));
    otherId_ = sha256(config({otherTar}));
    return sha256(index);
  }
  absl::StatusOr<std::shared_ptr<const Image>> pullFor(const std::string& platform) {
    return images_->pull(op_, kName, nullptr, {"", platform}, nullptr);
  }
  std::string found(const std::string& name, const std::string& platform) const {
    const auto image = images_->findFor(name, platform);
    return image.ok() ? (*image)->id : "none";
  }

  std::string ownId_;
  std::string otherId_;

 private:
  std::string entry(const std::string& architecture, const std::string& tar) const {
    const std::string manifest = manifestOf({tar}, {gzip(tar)});
    return strCat(R"({"mediaType": "x", "digest": ")", blob(manifest), R"(", "size": )",
                  manifest.size(), R"(, "platform": {"os": "linux", "architecture": ")",
                  architecture, R"("}})");
  }
};

TEST_F(PlatformsTest, EachPlatformHasItsImageByOneName) {
  const std::string index = publishIndex(one_, two_);
  const auto own = pullFor("");
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(found(kName, kOther), "none");
  const auto other = pullFor(kOther);
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_EQ((*own)->id, ownId_);
  EXPECT_EQ((*other)->id, otherId_);

  for (const bool again : {false, true}) {
    if (again) open();
    for (const std::string& name : {std::string(kName), "a.example/app@" + index}) {
      EXPECT_EQ(found(name, ""), ownId_) << again;
      EXPECT_EQ(found(name, kOther), otherId_) << again;
      EXPECT_EQ(found(name, "linux/riscv64"), "none");
      EXPECT_EQ((*images_->find(name))->id, ownId_) << "whoever names no platform";
    }
    for (const auto& image : images_->list()) EXPECT_THAT(image->repoTags, ElementsAre(kName));
    EXPECT_EQ(images_->list().size(), 2u);
    EXPECT_EQ(found(otherId_, ""), otherId_) << "an id is of all platforms";
    EXPECT_FALSE(isFor(**images_->find(otherId_), ""));
    EXPECT_TRUE(isFor(**images_->find(otherId_), kOther));
  }
}

TEST_F(PlatformsTest, ATagMovesForItsPlatformAlone) {
  publishIndex(one_, two_);
  ASSERT_TRUE(pullFor("").ok());
  ASSERT_TRUE(pullFor(kOther).ok());
  const std::string before = ownId_;
  const std::string otherBefore = otherId_;
  publishIndex(testing::noise(4000, 3), testing::noise(5000, 4));
  ASSERT_TRUE(pullFor(kOther).ok());
  EXPECT_EQ(found(kName, kOther), otherId_);
  EXPECT_EQ(found(kName, ""), before);
  EXPECT_THAT((*images_->find(otherBefore))->repoTags, IsEmpty());
  EXPECT_TRUE(isFor(**images_->find(otherBefore), kOther)) << "its digest is of the same platform";
}

TEST_F(PlatformsTest, OneImageMayBeThatOfSeveralPlatforms) {
  publish("app:1", {one_}, {gzip(one_)});
  const auto first = pullFor(kOther);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(found(kName, ""), "none");
  ASSERT_TRUE(pullFor("").ok());
  EXPECT_EQ(found(kName, ""), (*first)->id);
  EXPECT_EQ(found(kName, kOther), (*first)->id);

  // A tag that moves for one stays for the other.
  const std::string second = publish("app:1", {two_}, {gzip(two_)});
  ASSERT_TRUE(pullFor("").ok());
  EXPECT_EQ(found(kName, ""), second);
  EXPECT_EQ(found(kName, kOther), (*first)->id);
  ASSERT_TRUE(pullFor(kOther).ok());
  EXPECT_EQ(found(kName, kOther), second);
  EXPECT_THAT((*images_->find((*first)->id))->repoTags, IsEmpty());
}

TEST_F(PlatformsTest, TheDefaultByItsNameIsTheDefault) {
  publishIndex(one_, two_);
  ASSERT_TRUE(pullFor("linux/amd64").ok());
  ASSERT_TRUE(images_->remove(op_, kName).ok());
  ASSERT_TRUE(pullFor("linux/amd64/v1").ok()) << "the architecture's base line says nothing more";
  EXPECT_EQ(found(kName, ""), ownId_);
  EXPECT_EQ(images_->pull(op_, kName, nullptr, {"", "amd64"}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pullFor("linux/riscv64").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PlatformsTest, AnImageIsRemovedWithItsNames) {
  publishIndex(one_, two_);
  ASSERT_TRUE(pullFor("").ok());
  ASSERT_TRUE(pullFor(kOther).ok());
  ASSERT_TRUE(images_->remove(op_, otherId_).ok());
  EXPECT_EQ(found(kName, kOther), "none");
  EXPECT_EQ(found(kName, ""), ownId_);
}

TEST_F(PlatformsTest, ANameIsRemovedForOnePlatformHoweverOftenItIsRepeated) {
  publishIndex(one_, two_);
  ASSERT_TRUE(pullFor("").ok());
  ASSERT_TRUE(pullFor(kOther).ok());
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(images_->remove(op_, kName).ok());
    EXPECT_EQ(found(kName, ""), "none");
    EXPECT_EQ(found(kName, kOther), otherId_);
  }
  ASSERT_TRUE(images_->remove(op_, kName, kOther).ok());
  EXPECT_EQ(found(kName, kOther), "none");
}

TEST_F(PlatformsTest, LayersOfEachAreFetchedAnew) {
  publishIndex(one_, two_);
  ASSERT_TRUE(pullFor(kOther).ok());
  const std::string kept = found(kName, kOther);
  loseLayer(two_);
  open();
  ASSERT_EQ(reports_.size(), 1u);
  reports_.clear();
  EXPECT_EQ(found(kName, kOther), "none");
  ASSERT_TRUE(pullFor(kOther).ok());
  EXPECT_EQ(found(kName, kOther), kept);
  EXPECT_EQ(found(kName, ""), "none");
}

}  // namespace
}  // namespace berth::images
