#include "images/catalog.hpp"

#include <malloc.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "images/digest.hpp"

namespace berth::images {
namespace {

using support::strCat;
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
  static records::ImageRecord record(char digit, const std::vector<std::string>& tags,
                                     const std::vector<std::string>& digests = {}) {
    records::ImageRecord record;
    record.set_id(id(digit));
    record.set_config(std::string(kConfig));
    for (const std::string& tag : tags) record.add_tags(tag);
    for (const std::string& digest : digests) record.add_digests(digest);
    return record;
  }
  void add(char digit, const std::vector<std::string>& tags,
           const std::vector<std::string>& digests = {}) {
    const auto added = catalog_->add(record(digit, tags, digests));
    ASSERT_TRUE(added.ok()) << added.status();
  }
  void execute(const char* sql) {
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open((directory_ / "berth.db").c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, sql, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(other);
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

// A crash or a full disk between the two records would take the tag off the node.
TEST_F(CatalogTest, ATagMovesInOneStepOrNotAtAll) {
  add('a', {"a.example/app:1"});
  for (const char digit : {'a', 'b'}) {
    execute(strCat("CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.id = '", id(digit),
                   "' BEGIN SELECT RAISE(ABORT, 'refused'); END")
                .c_str());
    EXPECT_FALSE(catalog_->add(record('b', {"a.example/app:1"})).ok());
    EXPECT_EQ(found("a.example/app:1"), id('a'));
    EXPECT_EQ(found(id('b')), "none");
    load();
    EXPECT_EQ(found("a.example/app:1"), id('a'));
    EXPECT_EQ(found(id('b')), "none");
    execute("DROP TRIGGER refuse");
  }
}

TEST_F(CatalogTest, AnAdditionThatIsTakenBackLeavesWhatWasThere) {
  add('a', {"a.example/app:1"});
  const auto added = catalog_->add(record('b', {"a.example/app:1"}));
  ASSERT_TRUE(added.ok()) << added.status();
  EXPECT_EQ(found("a.example/app:1"), id('b'));
  EXPECT_TRUE(catalog_->takeBack(*added)) << "the image is gone";
  for (int i = 0; i < 2; ++i, load()) {
    EXPECT_EQ(found("a.example/app:1"), id('a'));
    EXPECT_EQ(found(id('b')), "none");
  }
}

TEST_F(CatalogTest, WhatOthersHaveChangedSinceIsNotTakenBack) {
  const auto added = catalog_->add(record('b', {"a.example/app:1"}));
  ASSERT_TRUE(added.ok()) << added.status();
  add('b', {"a.example/app:2"});
  EXPECT_FALSE(catalog_->takeBack(*added));
  EXPECT_EQ(found("a.example/app:1"), id('b'));
}

TEST_F(CatalogTest, ATagThatAThirdImageHasTakenIsNotGivenBack) {
  add('a', {"a.example/app:1"});
  const auto added = catalog_->add(record('b', {"a.example/app:1"}));
  ASSERT_TRUE(added.ok()) << added.status();
  add('c', {"a.example/app:1"});
  EXPECT_FALSE(catalog_->takeBack(*added));
  for (int i = 0; i < 2; ++i, load()) {
    EXPECT_EQ(found("a.example/app:1"), id('c'));
    EXPECT_TRUE((*catalog_->find(id('a')))->repoTags.empty());
  }
}

TEST_F(CatalogTest, AHiddenImageKeepsItsNamesUntilItIsAddedAgain) {
  add('a', {"a.example/app:1", "a.example/app:2"});
  catalog_->hide(id('a'));
  EXPECT_EQ(found("a.example/app:1"), "none");
  EXPECT_EQ(found(id('a')), "none");
  EXPECT_TRUE(catalog_->list().empty());
  EXPECT_EQ(catalog_->hidden().size(), 1u);
  EXPECT_FALSE(catalog_->record(id('a')).ok());
  EXPECT_TRUE(catalog_->knows(id('a')));
  add('a', {"a.example/app:1"});
  EXPECT_EQ(found("a.example/app:2"), id('a'));
  EXPECT_TRUE(catalog_->hidden().empty());
  catalog_->hide(id('a'));
  ASSERT_TRUE(catalog_->remove("a.example/app:2").ok());
  EXPECT_FALSE(catalog_->knows(id('a')));
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

// There are hundreds of images in memory, and their authors write what they like.
TEST_F(CatalogTest, WhatIsInMemoryOfAnImageIsBounded) {
  const std::string half(kMostAnnotationBytes / 2, 'x');
  const std::string large(2u << 20, 'x');
  records::ImageRecord large1 = record('a', {"a.example/app:1"});
  large1.set_config(strCat(R"({"config": {"User": ")", large, R"(", "Labels": {"l": ")", large,
                           R"("}}, "rootfs": {"type": "layers", "diff_ids": []}})"));
  large1.set_manifest(strCat(R"({"annotations": {"a": ")", half, R"(", "b": ")", large,
                             R"(", "c": ")", half, R"(", "d": "short",
                             "org.criu.checkpoint.container.name": "c"}})"));
  ASSERT_TRUE(catalog_->add(large1).ok());
  for (int i = 0; i < 2; ++i, load()) {
    const auto images = catalog_->list();
    ASSERT_EQ(images.size(), 1u);
    const Image& image = *images[0];
    EXPECT_EQ(image.user, std::string(kMostUserBytes, 'x'));
    // The second half would be one byte too many.
    std::vector<std::string> keys;
    for (const auto& [key, value] : image.annotations) keys.push_back(key);
    EXPECT_THAT(keys, ElementsAre("a", "d", "org.criu.checkpoint.container.name"));
    EXPECT_TRUE(image.isCheckpoint);
    EXPECT_EQ(image.size, large1.manifest().size() + large1.config().size());
  }
}

TEST_F(CatalogTest, ManyImagesTakeLittleMemory) {
  constexpr size_t kImages = 200;
  const std::string history(100'000, 'h');
  const size_t before = ::mallinfo2().uordblks;
  for (size_t number = 0; number < kImages; ++number) {
    records::ImageRecord one;
    one.set_id(sha256(strCat(number)));
    one.set_config(strCat(R"({"history": [{"created_by": ")", history, R"("}], "config": {"Env": [
        ")",
                          history, R"("]}, "rootfs": {"type": "layers", "diff_ids": []}})"));
    one.set_manifest(strCat(R"({"schemaVersion": 2, "x": ")", history, R"("})"));
    one.add_tags(strCat("a.example/app:", number));
    ASSERT_TRUE(catalog_->add(one).ok());
  }
  // The database keeps some megabytes of its own.
  constexpr size_t kMost = 10u << 20;
  EXPECT_LT(::mallinfo2().uordblks, before + kMost);
  load();
  EXPECT_LT(::mallinfo2().uordblks, before + kMost);
  EXPECT_EQ(catalog_->list().size(), kImages);
}

TEST_F(CatalogTest, ARecordThatIsDamagedMeanwhileHidesItsImage) {
  add('a', {"a.example/app:1", "a.example/app:2"});
  add('b', {"a.example/other:1"});
  ASSERT_TRUE(catalog_->record(id('a')).ok());
  ASSERT_TRUE(store_->put(kImageKind, id('a'), "\xff\xff").ok());
  EXPECT_EQ(found("a.example/app:1"), id('a')) << "nobody has looked yet";
  EXPECT_TRUE(absl::IsNotFound(catalog_->record(id('a')).status()));
  EXPECT_EQ(found("a.example/app:1"), "none");
  EXPECT_EQ(found("a.example/other:1"), id('b'));
  // Its names are not lost, also those that it loses now.
  add('b', {"a.example/app:2"});
  add('a', {"a.example/app:3"});
  EXPECT_THAT((*catalog_->find(id('a')))->repoTags,
              ::testing::UnorderedElementsAre("a.example/app:1", "a.example/app:3"));
  EXPECT_TRUE(catalog_->record(id('a')).ok());
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
