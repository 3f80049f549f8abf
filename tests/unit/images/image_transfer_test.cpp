// Images from files, to files, and from wherever their layers are left.
#include <future>

#include "berth/support/json.hpp"
#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using support::strCat;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

// What an export has written: path → content.
class MemoryTarget : public LayoutTarget {
 public:
  absl::Status write(std::string_view bytes) override {
    next_.append(bytes);
    return absl::OkStatus();
  }
  absl::Status finish(const std::string& path) override {
    files[path] = std::exchange(next_, {});
    return absl::OkStatus();
  }
  absl::Status drop() override {
    next_.clear();
    return absl::OkStatus();
  }
  absl::Status restart() override {
    files.clear();
    restarted = true;
    return drop();
  }
  std::string blob(const std::string& digest) const {
    const auto found = files.find("blobs/sha256/" + digest.substr(7));
    return found == files.end() ? "no such blob" : found->second;
  }

  std::map<std::string, std::string> files;
  bool restarted = false;

 private:
  std::string next_;
};

class ImageTransferTest : public testing::ImageServiceTest {
 protected:
  std::string manifestDigest(const std::string& name) const {
    std::ifstream file(blobs() + "/a.example_" + name);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // A file "/images" with those that were published, by the names they have in it.
  void makeFile(const std::vector<std::pair<std::string, std::string>>& published) const {
    std::string entries;
    for (const auto& [name, called] : published) {
      const std::string digest = manifestDigest(name);
      entries +=
          strCat(entries.empty() ? "" : ",", R"({"mediaType": "x", "digest": ")", digest,
                 R"(", "size": )", fs::file_size(blobs() + "/" + digest),
                 R"(, "annotations": {"org.opencontainers.image.ref.name": ")", called, R"("}})");
    }
    const std::string index = strCat(R"({"schemaVersion": 2, "manifests": [)", entries, "]}");
    write("file:___images", blob(index));
  }
  absl::Status import(const std::vector<std::string>& names = {},
                      PullProgress* progress = nullptr) {
    told_.clear();
    return images_->importImages(op_, {"/images", names, {}}, progress,
                                 [this](const Image&, const std::vector<std::string>& taken) {
                                   told_.insert(told_.end(), taken.begin(), taken.end());
                                 });
  }

  std::vector<std::string> told_;
};

TEST_F(ImageTransferTest, ImagesOfAFileAreKeptByTheirNames) {
  const std::string first = publish("first:1", {one_}, {testing::gzip(one_)});
  publish("second:1", {one_, two_}, {testing::gzip(one_), testing::zstd(two_)});
  makeFile({{"first:1", "b.example/first:1"},
            {"second:1", "b.example/second:1"},
            {"first:1", "b.example/first:2"}});
  PullProgress progress;
  const absl::Status imported = import({}, &progress);
  ASSERT_TRUE(imported.ok()) << imported;
  EXPECT_THAT(told_,
              UnorderedElementsAre("b.example/first:1", "b.example/first:2", "b.example/second:1"));
  EXPECT_EQ(progress.read().layers, 3u);
  EXPECT_EQ(progress.read().bytes, progress.read().totalBytes);
  open();  // as a restart finds it
  const auto image = images_->find("b.example/first:2");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ((*image)->id, first);
  EXPECT_THAT((*image)->repoTags, UnorderedElementsAre("b.example/first:1", "b.example/first:2"));
  EXPECT_THAT((*image)->repoDigests,
              ElementsAre(strCat("b.example/first@", manifestDigest("first:1"))));
  EXPECT_EQ(images_->list().size(), 2u);
}

TEST_F(ImageTransferTest, ADamagedImageOfAFileDoesNotKeepTheOthersAway) {
  publish("first:1", {one_}, {testing::gzip(one_)});
  const std::string layer = testing::gzip(two_);
  publish("second:1", {two_}, {layer});
  write(sha256(layer), "damaged");
  makeFile({{"second:1", "a.example/bad:1"}, {"first:1", "a.example/good:1"}});
  const absl::Status imported = import();
  EXPECT_EQ(imported.code(), absl::StatusCode::kUnavailable) << imported;
  EXPECT_THAT(std::string(imported.message()),
              AllOf(HasSubstr("a.example/bad:1"), HasSubstr(sha256(layer))));
  EXPECT_THAT(told_, ElementsAre("a.example/good:1"));
  EXPECT_EQ(images_->list().size(), 1u);
}

TEST_F(ImageTransferTest, WhatIsNotThereIsNotFound) {
  EXPECT_EQ(import().code(), absl::StatusCode::kNotFound);
  publish("first:1", {one_}, {testing::gzip(one_)});
  publish("second:1", {two_}, {testing::gzip(two_)});
  makeFile({{"first:1", "a.example/first:1"}, {"second:1", "a.example/second:1"}});
  EXPECT_EQ(import({"a.example/third:1"}).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(images_->list().empty());
}

// OCI image specification, "Digests": SHA-512 may be used wherever SHA-256 may.
TEST_F(ImageTransferTest, ImagesOfTheOtherAlgorithmAreTakenAndRefusedAlike) {
  const auto wide = [](const std::string& bytes) { return digestLike("sha512:", bytes); };
  const std::string layer = testing::gzip(one_);
  const std::string config = strCat(
      R"({"os": "linux", "rootfs": {"type": "layers", "diff_ids": [")", wide(one_), R"("]}})");
  const std::string manifest =
      strCat(R"({"schemaVersion": 2, "config": )", descriptor(wide(config), config.size()),
             R"(, "layers": [)", descriptor(wide(layer), layer.size()), "]}");
  for (const std::string* bytes : {&config, &manifest, &layer}) write(wide(*bytes), *bytes);
  write("a.example_app:1", wide(manifest));
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ((*image)->id, wide(config));
  EXPECT_THAT((*image)->repoDigests, ElementsAre("a.example/app@" + wide(manifest)));
  open();
  for (const std::string& reference :
       {wide(config), wide(config).substr(0, 20), wide(config).substr(7, 12),
        "a.example/app@" + wide(manifest)})
    EXPECT_TRUE(images_->find(reference).ok()) << reference;
  ASSERT_TRUE(images_->remove(op_, wide(config)).ok());
  awaitNoLayers();
  write(wide(layer), testing::gzip(two_));
  EXPECT_FALSE(pull("app:1").ok());
  EXPECT_TRUE(images_->list().empty());
}

TEST_F(ImageTransferTest, AnExportIsTheImageAsItWas) {
  const std::string id = publish("app:1", {one_, two_}, {testing::gzip(one_), testing::zstd(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  MemoryTarget target;
  const auto exported = images_->exportImage(op_, {"a.example/app:1"}, target);
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_EQ(exported->id, id);
  EXPECT_EQ(exported->manifestDigest, manifestDigest("app:1"));
  EXPECT_FALSE(exported->rebuilt);
  EXPECT_FALSE(target.restarted);
  EXPECT_EQ(target.files.size(), 6u);
  for (const std::string& digest :
       {id, exported->manifestDigest, sha256(testing::gzip(one_)), sha256(testing::zstd(two_))})
    EXPECT_EQ(sha256(target.blob(digest)), digest);
  EXPECT_EQ(target.files["oci-layout"], R"({"imageLayoutVersion": "1.0.0"})");
  const auto index = support::parseJsonObject(target.files["index.json"], "index");
  ASSERT_TRUE(index.ok());
  const auto& entry = index->at("manifests").as_array().at(0).as_object();
  EXPECT_EQ(support::stringMember(entry, "digest"), exported->manifestDigest);
  EXPECT_EQ(support::stringMember(entry.at("annotations").as_object(),
                                  "org.opencontainers.image.ref.name"),
            "a.example/app:1");
}

TEST_F(ImageTransferTest, AnExportTakesEachLayerFromWhereItIs) {
  const std::string first = testing::gzip(one_);
  const std::string second = testing::gzip(two_);
  publish("app:1", {one_, two_}, {first, second});
  ASSERT_TRUE(pull("app:1").ok());
  fs::rename(blobs() + "/" + sha256(second), moreBlobs() + "/" + sha256(second));
  MemoryTarget target;
  const auto exported =
      images_->exportImage(op_, {"a.example/app:1", ExportLayers::kOriginal}, target);
  ASSERT_TRUE(exported.ok()) << exported.status();
  EXPECT_TRUE(target.blob(sha256(second)) == second);
  EXPECT_EQ(count(strCat("fetch blob=", sha256(first))), 2u) << "once for each, the pull's too";
}

TEST_F(ImageTransferTest, WithoutItsLayersAnExportSaysWhoWasAsked) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_}, {layer});
  ASSERT_TRUE(pull("app:1").ok());
  fs::remove(blobs() + "/" + sha256(layer));
  MemoryTarget target;
  const auto exported =
      images_->exportImage(op_, {"a.example/app:1", ExportLayers::kOriginal}, target);
  EXPECT_EQ(exported.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(exported.status().message()),
              AllOf(HasSubstr("files, a.example/app@"), HasSubstr("more, a.example/app@")));
  // This snapshotter cannot tell what is in a layer.
  MemoryTarget other;
  EXPECT_FALSE(images_->exportImage(op_, {"a.example/app:1", ExportLayers::kAny}, other).ok());
  EXPECT_TRUE(other.restarted);
  EXPECT_EQ(images_->exportImage(op_, {"a.example/none:1"}, other).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(ImageTransferTest, MissingLayersComeFromAnySource) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_}, {layer});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok());
  fs::rename(blobs() + "/" + sha256(layer), moreBlobs() + "/" + sha256(layer));
  const absl::Status unpacked = images_->ensureUnpacked(op_, **image, "second", nullptr);
  EXPECT_TRUE(unpacked.ok()) << unpacked;
  fs::remove(moreBlobs() + "/" + sha256(layer));
  loseLayer(one_);
  reports_.clear();
  EXPECT_TRUE(images_->ensureUnpacked(op_, **image, "second", nullptr).ok()) << "it is there";
}

TEST_F(ImageTransferTest, APinStaysUntilItIsTakenBack) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(images_->setPinned("a.example/none:1", true).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(images_->setPinned("a.example/app:1", true).ok());
  ASSERT_TRUE(pull("app:1").ok());
  open();
  EXPECT_TRUE((*images_->find("a.example/app:1"))->pinned);
  ASSERT_TRUE(images_->setPinned("a.example/app:1", false).ok());
  open();
  EXPECT_FALSE((*images_->find("a.example/app:1"))->pinned);
}

TEST_F(ImageTransferTest, WhoJoinsAPullSeesHowFarItIs) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_, two_}, {layer, testing::gzip(two_)});
  closeGate(sha256(layer));
  PullProgress first;
  PullProgress second;
  const auto begin = [this](PullProgress& progress) {
    return std::async(std::launch::async, [this, &progress] {
      return images_->pull(op_, "a.example/app:1", nullptr, {}, &progress).status();
    });
  };
  auto owner = begin(first);
  awaitCount("at the gate", 1);
  auto joined = begin(second);
  while (second.read().totalLayers != 2) std::this_thread::yield();
  EXPECT_EQ(second.read().totalBytes, layer.size() + testing::gzip(two_).size());
  EXPECT_LT(second.read().layers, 2u);
  openGate(sha256(layer));
  EXPECT_TRUE(owner.get().ok());
  EXPECT_TRUE(joined.get().ok());
  for (const PullProgress* progress : {&first, &second}) {
    EXPECT_EQ(progress->read().layers, 2u);
    EXPECT_EQ(progress->read().bytes, progress->read().totalBytes);
  }
}

}  // namespace
}  // namespace berth::images
