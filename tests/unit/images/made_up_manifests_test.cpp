// Anybody can write a manifest that names the configuration of an image of others.
#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using support::strCat;
using ::testing::UnorderedElementsAre;

class MadeUpManifestsTest : public testing::ImageServiceTest {
 protected:
  // A manifest of an image with one layer, by whatever blob; its digest.
  std::string publishManifest(const std::string& name, const std::string& configuration,
                              const std::string& layer, const std::string& more = "") const {
    const std::string manifest = strCat(R"({"schemaVersion": 2, "config": )",
                                        descriptor(blob(configuration), configuration.size()),
                                        R"(, "layers": [)", layer, "]", more, "}");
    write("a.example_" + name, blob(manifest));
    return sha256(manifest);
  }
  size_t fetches(const std::string& digest) const { return count(strCat("fetch blob=", digest)); }

  const std::string gzipped_ = testing::gzip(one_);
  const std::string other_ = testing::zstd(one_);  // the same layer by another blob
  const std::string gzippedBlob_ = descriptor(sha256(gzipped_), gzipped_.size());
  const std::string otherBlob_ = descriptor(sha256(other_), other_.size());
};

TEST_F(MadeUpManifestsTest, NothingOfOneIsKept) {
  publish("app:1", {one_}, {gzipped_});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  for (const auto& [layer, more] : std::vector<std::pair<std::string, std::string>>{
           {descriptor(sha256("nobody has it"), 1u << 30), ""},
           {descriptor(sha256(gzipped_), gzipped_.size() + 1), ""},
           {descriptor(sha256(gzipped_), gzipped_.size() - 1), ""},
           {descriptor(sha256(gzipped_), size_t{1} << 40), ""},
           {descriptor(blob(two_), two_.size()), ""},
           {descriptor(sha256("nobody has it"), 7),
            R"(, "annotations": {"org.criu.checkpoint.container.name": "c"})"}}) {
    publishManifest("evil:1", config({one_}), layer, more);
    EXPECT_FALSE(pull("evil:1").ok()) << layer;
    ASSERT_EQ(images_->list().size(), 1u);
    EXPECT_EQ(images_->list().front(), *image) << "it is as it was";
  }
  EXPECT_TRUE(images_->ensureUnpacked(op_, **image, "second", nullptr).ok());
}

TEST_F(MadeUpManifestsTest, OneThatComesFirstIsNotKeptEither) {
  // The layer is here by another image, and so nothing would have to be fetched.
  publish("base:1", {one_}, {gzipped_});
  ASSERT_TRUE(pull("base:1").ok());
  const std::string configuration = config({one_}) + " ";
  publishManifest("evil:1", configuration, descriptor(sha256("nobody has it"), 7));
  EXPECT_FALSE(pull("evil:1").ok());
  const std::string good = publishManifest("app:1", configuration, gzippedBlob_);
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ((*image)->manifestDigest, good);
  EXPECT_EQ(fetches(sha256(gzipped_)), 1u) << "base's says where the layer comes from";
  open();
  ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok());
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(fetches(sha256(gzipped_)), 1u) << "after a restart too";
}

TEST_F(MadeUpManifestsTest, AnotherBlobOfALayerIsReadOnce) {
  publish("app:1", {one_}, {gzipped_});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  blob(other_);
  const std::string manifest = publishManifest("small:1", config({one_}), otherBlob_);
  PullProgress progress;
  const auto again = images_->pull(op_, "a.example/small:1", nullptr, {}, &progress);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(progress.read(), (PullProgress::Figures{other_.size(), other_.size(), 1, 1}));
  EXPECT_EQ((*again)->id, (*image)->id);
  EXPECT_EQ((*again)->manifestDigest, (*image)->manifestDigest) << "it was here first";
  EXPECT_EQ((*again)->size, (*image)->size);
  EXPECT_THAT((*again)->repoDigests,
              UnorderedElementsAre("a.example/app@" + (*image)->manifestDigest,
                                   "a.example/small@" + manifest));
  ASSERT_TRUE(pull("small:1").ok());
  EXPECT_EQ(fetches(sha256(other_)), 1u);
  EXPECT_EQ(count("apply"), 1u) << "only to be read";
}

// Of blobs of its own, which are the right layers, and which go when others rely on them.
TEST_F(MadeUpManifestsTest, WhoseBlobsAreGoneDoesNotKeepTheLayersAway) {
  blob(other_);
  publishManifest("evil:1", config({one_}), otherBlob_);
  ASSERT_TRUE(pull("evil:1").ok());
  publish("app:1", {one_}, {gzipped_});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  std::string manifest;
  std::ifstream(blobs() + "/a.example_app:1") >> manifest;
  write("a.example_app@" + manifest, manifest);
  for (const char* name : {"/a.example_evil:1", "/a.example_app:1"}) fs::remove(blobs() + name);
  fs::remove(blobs() + "/" + sha256(other_));
  const absl::Status unpacked = images_->ensureUnpacked(op_, **image, "second", nullptr);
  EXPECT_TRUE(unpacked.ok()) << unpacked;
}

}  // namespace
}  // namespace berth::images
