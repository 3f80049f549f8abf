#include "images/catalog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "images/digest.hpp"

namespace berth::images {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kConfig =
    R"({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})";

class CatalogTest : public ::testing::Test {
 protected:
  berth::testing::TemporaryDirectory directory_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Catalog> catalog_;
  std::vector<std::string> reports_;

  void SetUp() override {
    std::string setAside;
    auto opened = store::Store::open(directory_ / "berth.db", setAside);
    ASSERT_TRUE(opened.ok()) << opened.status();
    store_ = *std::move(opened);
    load();
  }
  void load() {
    catalog_ = std::make_unique<Catalog>(*store_);
    const absl::Status status =
        catalog_->load([this](std::string_view line) { reports_.emplace_back(line); });
    ASSERT_TRUE(status.ok()) << status;
  }
  static std::string id(char digit) { return "sha256:" + std::string(64, digit); }
  void add(char digit, const std::vector<std::string>& tags,
           const std::vector<std::string>& digests = {}) {
    records::ImageRecord record;
    record.set_id(id(digit));
    record.set_config(std::string(kConfig));
    for (const std::string& tag : tags) record.add_tags(tag);
    for (const std::string& digest : digests) record.add_digests(digest);
    const auto added = catalog_->add(record);
    ASSERT_TRUE(added.ok()) << added.status();
  }
  std::string found(const std::string& reference) const {
    const auto image = catalog_->find(reference);
    return image.ok() ? (*image)->id : "none";
  }
};

TEST_F(CatalogTest, FindsByEveryName) {
  const std::string digest = "docker.io/library/busybox@" + id('d');
  add('a', {"docker.io/library/busybox:latest"}, {digest});
  for (const std::string& name :
       {id('a'), std::string(64, 'a'), std::string(7, 'a'), "sha256:" + std::string(7, 'a'),
        std::string("busybox"), std::string("docker.io/library/busybox:latest"), digest,
        "busybox@" + id('d'), "busybox:other@" + id('d')}) {
    EXPECT_EQ(found(name), id('a')) << name;
  }
  for (const std::string& name : {std::string(6, 'a'), std::string("busybox:other"), id('b'),
                                  std::string(""), std::string("!")}) {
    EXPECT_EQ(found(name), "none") << name;
  }
  EXPECT_EQ(catalog_->find("busybox:other").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(CatalogTest, AnAmbiguousPrefixFindsNothing) {
  records::ImageRecord record;
  record.set_config(std::string(kConfig));
  for (const char last : {'1', '2'}) {
    record.set_id("sha256:" + std::string(63, 'a') + last);
    ASSERT_TRUE(catalog_->add(record).ok());
  }
  EXPECT_EQ(found(std::string(10, 'a')), "none");
  EXPECT_EQ(found(std::string(63, 'a') + "2"), "sha256:" + std::string(63, 'a') + "2");
}

TEST_F(CatalogTest, ATagMovesToTheNewerImage) {
  add('a', {"a.example/app:1", "a.example/app:old"});
  add('b', {"a.example/app:1"});
  EXPECT_EQ(found("a.example/app:1"), id('b'));
  EXPECT_THAT((*catalog_->find(id('a')))->repoTags, ElementsAre("a.example/app:old"));
  load();
  EXPECT_EQ(found("a.example/app:1"), id('b'));
  EXPECT_EQ(found("a.example/app:old"), id('a'));
}

TEST_F(CatalogTest, TheSameImageGathersItsNames) {
  add('a', {"a.example/app:1"}, {"a.example/app@" + id('d')});
  add('a', {"a.example/app:2"}, {"a.example/app@" + id('d')});
  const auto image = *catalog_->find(id('a'));
  EXPECT_THAT(image->repoTags,
              ::testing::UnorderedElementsAre("a.example/app:1", "a.example/app:2"));
  EXPECT_EQ(image->repoDigests.size(), 1u);
  EXPECT_EQ(catalog_->list().size(), 1u);
}

TEST_F(CatalogTest, RemovingByAnyNameTakesTheImageAndAllNames) {
  const std::vector<std::string> names = {"a.example/app:1", "b.example/other:2",
                                          "a.example/app@" + id('d'), id('a')};
  for (const std::string& name : names) {
    add('a', {names[0], names[1]}, {names[2]});
    add('b', {"a.example/app:2"});
    const auto gone = *catalog_->remove(name);
    ASSERT_NE(gone, nullptr) << name;
    EXPECT_EQ(gone->id, id('a'));
    for (const std::string& other : names) EXPECT_EQ(found(other), "none") << name;
    EXPECT_EQ(found("a.example/app:2"), id('b'));
    load();
    EXPECT_EQ(catalog_->list().size(), 1u);
  }
}

TEST_F(CatalogTest, AnImageHasItsManifestsAnnotations) {
  records::ImageRecord record;
  record.set_id(id('a'));
  record.set_config(std::string(kConfig));
  record.set_manifest(R"({"annotations": {"org.opencontainers.image.version": "1.2", "n": 3}})");
  ASSERT_TRUE(catalog_->add(record).ok());
  add('b', {});
  load();
  EXPECT_THAT((*catalog_->find(id('a')))->annotations,
              ElementsAre(::testing::Pair("org.opencontainers.image.version", "1.2")));
  EXPECT_TRUE((*catalog_->find(id('b')))->annotations.empty());
}

TEST_F(CatalogTest, RemovingWhatIsNotThereSucceeds) {
  const auto gone = catalog_->remove("a.example/none:1");
  ASSERT_TRUE(gone.ok());
  EXPECT_EQ(*gone, nullptr);
}

TEST_F(CatalogTest, ADamagedRecordIsSetAsideAndReported) {
  add('a', {"a.example/app:1"});
  ASSERT_TRUE(store_->put(kImageKind, id('b'), "\xff\xff garbage").ok());
  load();
  EXPECT_EQ(catalog_->list().size(), 1u);
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_THAT(reports_[0], HasSubstr(id('b')));
  EXPECT_EQ(store_->damaged()->size(), 1u);
  load();
  EXPECT_EQ(reports_.size(), 1u) << "set aside once";
}

}  // namespace
}  // namespace berth::images
