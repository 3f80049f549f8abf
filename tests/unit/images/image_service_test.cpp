#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using support::strCat;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ImageServiceTest;

TEST_F(ImageServiceTest, PullsAndUnpacksEveryCompression) {
  const std::string three = "plain tar";
  const std::string id =
      publish("app:1", {one_, two_, three}, {testing::gzip(one_), testing::zstd(two_), three});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ((*image)->id, id);
  EXPECT_THAT((*image)->repoTags, ElementsAre("a.example/app:1"));
  ASSERT_EQ((*image)->layers.size(), 3u);
  EXPECT_EQ((*image)->layers[0].chainId, sha256(one_));
  EXPECT_EQ((*image)->layers[1].chainId, sha256(strCat(sha256(one_), " ", sha256(two_))));
  std::vector<std::string> expected = {sha256(one_), sha256(two_), sha256(three)};
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(layers(), expected);
  std::ifstream file(host_.directory() / "root/plugins/snapshotter-snap/" + sha256(one_));
  EXPECT_TRUE(std::string(std::istreambuf_iterator<char>(file), {}) == one_);
}

TEST_F(ImageServiceTest, WhatIsThereIsNotFetchedAgainEvenAfterARestart) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  ASSERT_TRUE(pull("app:1").ok());
  open();
  EXPECT_EQ(images_->list().size(), 1u);
  EXPECT_TRUE(images_->find("a.example/app:1").ok());
  ASSERT_TRUE(pull("app:1").ok());
  EXPECT_EQ(count("apply"), 1u);
}

TEST_F(ImageServiceTest, ManyPullsAtOnceUnpackEachLayerOnce) {
  publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {one_}, {testing::gzip(one_)});
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([this, i] {
      const auto image = pull(i % 2 == 0 ? "app:1" : "other:1");
      EXPECT_TRUE(image.ok()) << image.status();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count("apply"), 2u);
  EXPECT_EQ(images_->list().size(), 2u);
  ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok());
  ASSERT_TRUE(images_->remove(op_, "a.example/other:1").ok());
  awaitNoLayers();
}

TEST_F(ImageServiceTest, ABrokenConnectionIsResumed) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_}, {layer});
  write(sha256(layer) + ".broken", "xx");
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(count(strCat("fetch blob=", sha256(layer))), 3u);
  EXPECT_EQ(count(strCat("fetch blob=", sha256(layer), " offset=0")), 1u);
}

TEST_F(ImageServiceTest, ABlobWithAnotherContentIsRefused) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_}, {layer});
  std::string damaged = layer;
  damaged[4] = static_cast<char>(damaged[4] ^ 1);  // the time stamp: it still unpacks
  write(sha256(layer), damaged);
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kDataLoss),
              HasSubstr("plugin files: blob " + sha256(layer)));
  EXPECT_THAT(layers(), ElementsAre());
  write(sha256(layer), layer + "more");
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kDataLoss),
              HasSubstr(strCat("plugin files: blob ", sha256(layer), " is larger")));
}

TEST_F(ImageServiceTest, AManifestThatIsNoneIsItsSourcesFault) {
  for (const char* document : {"{", "[]", "\xFF", "{\"schemaVersion\": 2}"}) {
    write("a.example_app:1", blob(document));
    EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kInvalidArgument),
                HasSubstr("pull a.example/app:1: files: manifest " + sha256(document)));
  }
}

TEST_F(ImageServiceTest, ALayerThatIsNotWhatTheConfigSaysIsRefused) {
  publish("app:1", {two_}, {testing::gzip(one_)});
  EXPECT_THAT(
      pullFailure("app:1", absl::StatusCode::kDataLoss),
      ::testing::AllOf(HasSubstr("diff ID"), HasSubstr(sha256(one_)), HasSubstr(sha256(two_))));
  EXPECT_THAT(layers(), ElementsAre());
}

TEST_F(ImageServiceTest, ATruncatedLayerIsRefused) {
  const std::string layer = testing::gzip(one_);
  publish("app:1", {one_}, {layer.substr(0, layer.size() - 20)});
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kInvalidArgument), HasSubstr("ends early"));
  EXPECT_THAT(layers(), ElementsAre());
}

TEST_F(ImageServiceTest, ABombIsStoppedAtTheBound) {
  const std::string bomb(3u << 20, 'x');
  publish("app:1", {bomb}, {testing::gzip(bomb)});
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kResourceExhausted), HasSubstr("1048576"));
  EXPECT_THAT(layers(), ElementsAre());
}

TEST_F(ImageServiceTest, AConfigThatNamesOtherLayersIsRefused) {
  publish("app:1", {one_, two_}, {testing::gzip(one_)});
  EXPECT_THAT(pullFailure("app:1", absl::StatusCode::kInvalidArgument), HasSubstr("layers"));
}

TEST_F(ImageServiceTest, WhatASourceDoesNotKnowIsNotFound) {
  EXPECT_THAT(pullFailure("none:1", absl::StatusCode::kNotFound),
              ::testing::AllOf(HasSubstr("a.example/none:1"), HasSubstr("files: no")));
  EXPECT_EQ(images_->pull(op_, "elsewhere.example/app", nullptr, {}, nullptr).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(images_->pull(op_, "Not A Reference", nullptr, {}, nullptr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(ImageServiceTest, AnIndexLeadsToThePlatformsManifest) {
  publish("app:amd64", {one_}, {testing::gzip(one_)});
  publish("app:arm64", {two_}, {testing::gzip(two_)});
  const auto entry = [&](const std::string& name, const std::string& architecture) {
    std::ifstream file(blobs() + "/a.example_app:" + name);
    const std::string digest(std::istreambuf_iterator<char>(file), {});
    return strCat(R"({"mediaType": "x", "digest": ")", digest, R"(", "size": )",
                  fs::file_size(blobs() + "/" + digest),
                  R"(, "platform": {"os": "linux", "architecture": ")", architecture, "\"}}");
  };
  const std::string index = strCat(R"({"schemaVersion": 2, "manifests": [)",
                                   entry("arm64", "arm64"), ",", entry("amd64", "amd64"), "]}");
  write("a.example_app:1", blob(index));
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_THAT((*image)->repoDigests, ElementsAre("a.example/app@" + sha256(index)));
  EXPECT_THAT(layers(), ElementsAre(sha256(one_)));
}

TEST_F(ImageServiceTest, RemovingTheLastNameFreesTheLayersNothingElseUses) {
  publish("app:1", {one_, two_}, {testing::gzip(one_), testing::gzip(two_)});
  publish("other:1", {two_}, {testing::gzip(two_)});
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("app:1").ok());
  ASSERT_TRUE(pull("other:1").ok());
  ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (layers().size() > 1) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the layer stays";
    std::this_thread::yield();
  }
  EXPECT_THAT(layers(), ElementsAre(sha256(two_)));
  ASSERT_TRUE(images_->remove(op_, "a.example/other:1").ok());
  awaitNoLayers();
}

TEST_F(ImageServiceTest, EnsureUnpackedFetchesWhatIsMissing) {
  publish("app:1", {one_}, {testing::gzip(one_)});
  const auto image = pull("app:1");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_TRUE(images_->ensureUnpacked(op_, **image, "snap", nullptr).ok());
  EXPECT_EQ(count("apply"), 1u);
  const absl::Status status = images_->ensureUnpacked(op_, **image, "second", nullptr);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(count("apply"), 2u);
}

constexpr const char* kGzipLayer = "application/vnd.oci.image.layer.v1.tar+gzip";

TEST_F(ImageServiceTest, AConfigurationHasAMebibyteAtMost) {
  const std::string layer = testing::gzip(one_);
  for (const size_t size : {size_t{1} << 20, (size_t{1} << 20) + 1}) {
    std::string text = config({one_});
    text.resize(size, ' ');
    const std::string manifest =
        strCat(R"({"schemaVersion": 2, "config": )", descriptor(blob(text), text.size()),
               R"(, "layers": [)", descriptor(blob(layer), layer.size()), "]}");
    write("a.example_app:1", blob(manifest));
    EXPECT_EQ(pull("app:1").ok(), size == size_t{1} << 20) << size;
  }
}

TEST_F(ImageServiceTest, ArtifactsOfArchivesAreImages) {
  const std::string first = testing::noise(5000, 1);
  const std::string second = testing::noise(7000, 2);
  const std::string id =
      publishArtifact("first:latest", kGzipLayer, {testing::gzip(first), testing::gzip(second)});
  auto image = pull("first");
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ((*image)->id, id);
  ASSERT_EQ((*image)->layers.size(), 2u);
  EXPECT_EQ((*image)->layers[0].diffId, sha256(first));
  EXPECT_EQ((*image)->layers[1].diffId, sha256(second));
  EXPECT_THAT(images_->config(**image)->entrypoint, ::testing::IsEmpty());
  const std::string other =
      publishArtifact("other:latest", "application/vnd.oci.image.layer.v1.tar", {first});
  auto plain = pull("other");
  ASSERT_TRUE(plain.ok()) << plain.status();
  EXPECT_EQ((*plain)->id, other);
  open();
  EXPECT_TRUE(images_->find(id).ok()) << "it must outlive the daemon";
  EXPECT_EQ(images_->list().size(), 2u);
}

TEST_F(ImageServiceTest, OtherArtifactsAreRefusedByName) {
  publishArtifact("chart:latest", "application/vnd.cncf.helm.chart.content.v1.tar+gzip.sig", {"x"});
  EXPECT_THAT(pullFailure("chart", absl::StatusCode::kInvalidArgument), HasSubstr("tar+gzip.sig"));
  publishArtifact("bomb:latest", kGzipLayer, {testing::gzip(std::string(2u << 20, 'x'))});
  EXPECT_THAT(pullFailure("bomb", absl::StatusCode::kResourceExhausted),
              HasSubstr("unpacks to more than 1048576 bytes"));
  publishArtifact("torn:latest", kGzipLayer, {testing::gzip("text").substr(0, 12)});
  pullFailure("torn", absl::StatusCode::kInvalidArgument);
}

TEST_F(ImageServiceTest, TheEndDoesNotWaitForAllThatIsUnused) {
  publish("app:1", {one_, two_}, {one_, two_});
  ASSERT_TRUE(pull("app:1").ok());
  std::ofstream(host_.directory() / "hold").close();
  ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (count("hold") == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "nothing is collected";
    std::this_thread::yield();
  }
  images_->finish();
  // No call is running any more, and none comes.
  registry_.stop();
  fs::remove(host_.directory() / "hold");
  images_->collectGarbage();
  images_->finish();
  EXPECT_EQ(count("hold"), 1u) << "it went on to the next layer";
  EXPECT_EQ(layers().size(), 2u);
}

}  // namespace
}  // namespace berth::images
