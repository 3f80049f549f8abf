// Pulls that have to wait, and pulls on a system that has no more threads.
#include <future>

#include "../no_more_threads.hpp"
#include "image_service_fixture.hpp"
#include "images/flights.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageWaitsTest : public testing::ImageServiceTest {
 protected:
  using Pulled = absl::StatusOr<std::shared_ptr<const Image>>;

  std::future<Pulled> begin(const plugins::Operation& op, const std::string& name) {
    return std::async(std::launch::async, [this, &op, name] {
      return images_->pull(op, "a.example/" + name, nullptr, {}, nullptr);
    });
  }
  // The digests of those that have come to their gates, in that order.
  std::vector<std::string> atTheGate() const {
    constexpr std::string_view kMark = "at the gate blob=";
    std::vector<std::string> digests;
    for (const std::string& line : host_.log()) {
      const size_t at = line.find(kMark);
      if (at != std::string::npos)
        digests.push_back(line.substr(at + kMark.size(), std::string_view("sha256:").size() + 64));
    }
    return digests;
  }

  // Publishes an image whose layer comes in two halves of which each waits at the gate; the digest
  // of the layer.
  std::string publishSlow(const std::string& name, const std::string& tar,
                          const std::string& packed) const {
    EXPECT_GT(packed.size(), 512u << 10) << "so the first half is unpacked before the second comes";
    publish(name, {tar}, {packed});
    closeGate(sha256(packed));
    write(sha256(packed) + ".broken", "x");
    return sha256(packed);
  }
  // A pull of slow:1, for which alone its layer does not come until letGo().
  std::future<Pulled> beginStuck(const std::string& packed) {
    closeGate(sha256(packed));
    auto pulled = begin(inTime_, "slow:1");
    awaitCount("at the gate", 1);
    keepAtGate(sha256(packed));
    return pulled;
  }
  // Of the only one at its gate.
  void awaitFirstHalf(const std::string& layer) const {
    awaitCount("at the gate", 1);
    openGate(layer);
    awaitCount("at the gate", 2);
    std::this_thread::sleep_for(milliseconds(50));  // until it is unpacked
  }

  const std::string layer_ = testing::gzip(one_);
  const std::string large_ = testing::noise(900'000, 3);
  plugins::Operation inTime_{"in time",
                             plugins::Operation::Clock::now() + std::chrono::seconds(30)};
};

TEST_F(ImageWaitsTest, WhoWaitsForALayerOfAnotherPullMayGiveUp) {
  publish("first:1", {one_}, {layer_});
  publish("second:1", {one_, two_}, {layer_, testing::gzip(two_)});
  closeGate(sha256(layer_));
  auto owner = begin(op_, "first:1");
  awaitCount("at the gate", 1);

  plugins::Operation impatient("impatient", plugins::Operation::Clock::now() + milliseconds(50));
  EXPECT_EQ(images_->pull(impatient, "a.example/second:1", nullptr, {}, nullptr).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  plugins::Operation unwanted("unwanted");
  auto joined = begin(unwanted, "second:1");
  awaitCount("apply", 2);  // it has its other layer, and waits for the first
  unwanted.cancel();
  EXPECT_EQ(joined.get().status().code(), absl::StatusCode::kCancelled);

  openGate(sha256(layer_));
  EXPECT_TRUE(owner.get().ok());
}

TEST_F(ImageWaitsTest, WhoWaitsForADownloadToBeginMayGiveUp) {
  open(1);  // download at a time
  const std::string other = testing::gzip(two_);
  publish("first:1", {one_}, {layer_});
  publish("second:1", {two_}, {other});
  closeGate(sha256(layer_));
  auto owner = begin(op_, "first:1");
  awaitCount("at the gate", 1);

  plugins::Operation impatient("impatient", plugins::Operation::Clock::now() + milliseconds(50));
  EXPECT_EQ(images_->pull(impatient, "a.example/second:1", nullptr, {}, nullptr).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(images_->layerFigures().waitingForDownload, 0u);
  auto patient = begin(op_, "second:1");
  while (images_->layerFigures().waitingForDownload != 1) std::this_thread::yield();
  openGate(sha256(layer_));
  EXPECT_TRUE(owner.get().ok());
  EXPECT_TRUE(patient.get().ok());
  const LayerFigures figures = images_->layerFigures();
  EXPECT_EQ(figures.waitingForDownload + figures.waitingForUnpack, 0u);
  EXPECT_EQ(figures.fetched, 2u);
  EXPECT_EQ(figures.fetchedBytes, layer_.size() + other.size());
  EXPECT_TRUE(pull("second:1").ok());
  EXPECT_EQ(images_->layerFigures().fetched, 2u) << "it was there";
}

TEST_F(ImageWaitsTest, LayersOfOnePullAreFetchedAtOnceUpToTheBound) {
  std::vector<std::string> tars;
  std::vector<std::string> packed;
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    tars.push_back(testing::noise(1000 * seed, seed));
    packed.push_back(testing::gzip(tars.back()));
  }
  publish("app:1", tars, packed);
  for (const auto& [downloads, unpacks] : {std::pair(3u, 8u), {8u, 1u}, {8u, 8u}}) {
    open(downloads, unpacks);
    for (const std::string& one : packed) closeGate(sha256(one));
    const size_t before = count("at the gate");
    auto pulled = begin(op_, "app:1");
    const size_t bound = std::min(downloads, 5u);
    for (size_t opened = 0; opened < 5; ++opened) {
      const size_t expected = before + std::min<size_t>(opened + bound, 5);
      awaitCount("at the gate", expected);
      EXPECT_EQ(count("at the gate"), expected);
      openGate(atTheGate().at(before + opened));
    }
    EXPECT_TRUE(pulled.get().ok());
    for (const std::string& one : packed) fs::remove(blobs() + "/" + sha256(one) + ".gate");
    ASSERT_TRUE(images_->remove(op_, "a.example/app:1").ok());
    awaitNoLayers();
  }
}

TEST_F(ImageWaitsTest, SoManyLayersAreUnpackedAtOnce) {
  publish("app:1", {one_, two_}, {layer_, testing::gzip(two_)});
  open(6, 1);
  std::ofstream(host_.directory() / "hold-apply").close();
  plugins::Operation op("until one waits");
  auto pulled = begin(op, "app:1");
  while (images_->layerFigures().waitingForUnpack != 1) std::this_thread::yield();
  awaitCount("hold", 1);
  EXPECT_EQ(count("apply"), 2u) << "the other one is on its way too";
  EXPECT_EQ(count("hold"), 1u);
  op.cancel();
  EXPECT_EQ(pulled.get().status().code(), absl::StatusCode::kCancelled);
}

TEST_F(ImageWaitsTest, ARegistryThatIsSlowHoldsUpItsOwnImagesOnly) {
  open(1, 1);
  const std::string slowLayer = publishSlow("slow:1", large_, testing::gzip(large_));
  write("b.example_app:1", blob(manifestOf({two_}, {testing::gzip(two_)})));
  auto slow = begin(inTime_, "slow:1");
  awaitFirstHalf(slowLayer);
  const auto other = images_->pull(inTime_, "b.example/app:1", nullptr, {}, nullptr);
  EXPECT_TRUE(other.ok()) << other.status();
  openGate(slowLayer);
  EXPECT_TRUE(slow.get().ok());
}

TEST_F(ImageWaitsTest, ALayerOfARegistryThatIsSlowIsFetchedFromOnesOwn) {
  patience_ = milliseconds(50);
  open(1, 1);
  const std::string packed = testing::gzip(large_);
  publish("slow:1", {large_}, {packed});
  write("b.example_app:1", blob(manifestOf({large_}, {packed})));
  auto slow = beginStuck(packed);
  PullProgress progress;
  const auto other = images_->pull(inTime_, "b.example/app:1", nullptr, {}, &progress);
  EXPECT_TRUE(other.ok()) << other.status();
  EXPECT_EQ(progress.read().bytes, packed.size());
  EXPECT_EQ(images_->layerFigures().fetched, 1u);
  letGo(sha256(packed));
  EXPECT_TRUE(slow.get().ok());
  EXPECT_EQ(images_->layerFigures().fetched, 1u) << "the other one's is good for both";
  EXPECT_EQ(layers().size(), 1u);
}

// Of a layer that is there already: the bytes are read to see that they are its.
TEST_F(ImageWaitsTest, BytesOfARegistryThatIsSlowAreReadFromOnesOwn) {
  patience_ = milliseconds(50);
  open(1, 1);
  publish("first:1", {large_}, {testing::gzip(large_)});
  ASSERT_TRUE(pull("first:1").ok());
  const std::string packed = testing::zstdWithWindow(large_, 20);
  publish("slow:1", {large_}, {packed});
  write("b.example_app:1", blob(manifestOf({large_}, {packed})));
  auto slow = beginStuck(packed);
  const auto other = images_->pull(inTime_, "b.example/app:1", nullptr, {}, nullptr);
  EXPECT_TRUE(other.ok()) << other.status();
  letGo(sha256(packed));
  EXPECT_TRUE(slow.get().ok());
  EXPECT_EQ(images_->layerFigures().fetched, 2u);
}

TEST_F(ImageWaitsTest, WhatARegistrySendsToNobodyIsAskedForOnce) {
  patience_ = milliseconds(50);
  open(2, 1);
  const std::string packed = testing::gzip(large_);
  publish("slow:1", {large_}, {packed});
  publish("slow:2", {large_}, {packed});
  closeGate(sha256(packed));
  auto slow = begin(inTime_, "slow:1");
  awaitCount("at the gate", 1);
  // The same registry's: what it does not send to one it does not send to another.
  auto joined = begin(inTime_, "slow:2");
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_EQ(count("at the gate"), 1u);
  openGate(sha256(packed));
  EXPECT_TRUE(slow.get().ok());
  EXPECT_TRUE(joined.get().ok());
}

TEST(Flights, OneThatIsNearItsEndIsWaitedFor) {
  const milliseconds patience(20);
  Flights flights;
  const auto flight = flights.begin("layer", {"a.example", "blob", 1000});
  std::this_thread::sleep_for(2 * patience);
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", patience), flight)
      << "it waits for nothing that others would not wait for";
  const Flight::Waiting waiting(*flight);
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", std::chrono::hours(1)), flight);
  std::this_thread::sleep_for(2 * patience);
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", patience), nullptr);
  EXPECT_EQ(flights.toWaitFor("layer", "a.example", patience), flight);
  flight->fetched() = 1;
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", patience), nullptr) << "39 s are left";
  flight->fetched() = 999;
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", patience), flight);
  flight->fetched() = 1000;
  EXPECT_EQ(flights.toWaitFor("layer", "b.example", patience), flight);
  EXPECT_EQ(flights.toWaitFor("other", "b.example", patience), nullptr);

  const auto removal = flights.begin("gone", {});
  const Flight::Waiting too(*removal);
  std::this_thread::sleep_for(2 * patience);
  EXPECT_EQ(flights.toWaitFor("gone", "b.example", patience), removal);
}

TEST(Flights, ThereAreTwoAtOnce) {
  Flights flights;
  const auto first = flights.begin("layer", {"a.example", "blob", 1000});
  const Flight::Waiting waits(*first);
  ASSERT_EQ(flights.toWaitFor("layer", "b.example", milliseconds(0)), nullptr);
  const auto second = flights.begin("layer", {"b.example", "blob", 1000});
  const Flight::Waiting too(*second);
  EXPECT_EQ(flights.toWaitFor("layer", "c.example", milliseconds(0)), second);
  first->beOutrun();
  EXPECT_EQ(flights.toWaitFor("layer", "c.example", milliseconds(0)), nullptr);
}

TEST(Flights, TheFirstToLandOutrunsTheOthers) {
  Flights flights;
  const auto first = flights.begin("layer", {"a.example", "blob", 1000});
  EXPECT_FALSE(first->isRivalled());
  const auto second = flights.begin("layer", {"b.example", "blob", 1000});
  const auto third = flights.begin("layer", {"c.example", "blob", 1000});
  const auto packedOtherwise = flights.begin("layer", {"d.example", "other blob", 1000});
  const auto other = flights.begin("other", {"a.example", "blob", 1000});
  EXPECT_TRUE(first->isRivalled() && second->isRivalled() && third->isRivalled());
  EXPECT_FALSE(other->isRivalled());
  flights.end("layer", second, false);
  EXPECT_FALSE(first->isOutrun());
  flights.end("layer", third, true);
  EXPECT_TRUE(first->isOutrun());
  EXPECT_FALSE(second->isOutrun() || third->isOutrun() || other->isOutrun());
  EXPECT_FALSE(packedOtherwise->isOutrun()) << "its bytes are still to be proven";
  EXPECT_EQ(flights.toWaitFor("layer", "a.example", milliseconds(1)), packedOtherwise);
  flights.end("layer", packedOtherwise, true);
  flights.end("layer", first, true);
  EXPECT_FALSE(flights.contains("layer"));
  EXPECT_TRUE(flights.contains("other"));
}

TEST_F(ImageWaitsTest, ALayerThatIsRefusedKeepsNoTurnUntilItsSourceNotices) {
  open(1, 1);
  const std::string tooLarge =
      testing::noise(2'400'000, 4);  // so is what its first half unpacks to
  const std::string slowLayer = publishSlow("slow:1", tooLarge, testing::gzip(tooLarge));
  write("b.example_app:1", blob(manifestOf({two_}, {testing::gzip(two_)})));
  auto slow = begin(inTime_, "slow:1");
  awaitFirstHalf(slowLayer);
  const auto other = images_->pull(inTime_, "b.example/app:1", nullptr, {}, nullptr);
  EXPECT_TRUE(other.ok()) << other.status();
  openGate(slowLayer);
  EXPECT_EQ(slow.get().status().code(), absl::StatusCode::kResourceExhausted);
}

// One has the window and is to have the turn again that the other one would keep.
TEST_F(ImageWaitsTest, WhoWaitsForALargeWindowKeepsNoTurn) {
  open(6, 1);
  const std::string slowLayer = publishSlow("slow:1", large_, testing::zstdWithWindow(large_, 27));
  publish("other:1", {two_}, {testing::zstdWithWindow(two_, 27)});
  auto slow = begin(inTime_, "slow:1");
  awaitFirstHalf(slowLayer);
  auto other = begin(inTime_, "other:1");
  while (count("apply") != 2) std::this_thread::yield();
  std::this_thread::sleep_for(milliseconds(50));  // until it waits
  openGate(slowLayer);
  EXPECT_TRUE(slow.get().ok());
  EXPECT_TRUE(other.get().ok());
}

TEST_F(ImageWaitsTest, ARegistryThatKeepsALargeWindowHoldsUpNoOther) {
  const std::string slowLayer = publishSlow("slow:1", large_, testing::zstdWithWindow(large_, 27));
  write("b.example_app:1", blob(manifestOf({two_}, {testing::zstdWithWindow(two_, 27)})));
  auto slow = begin(inTime_, "slow:1");
  awaitFirstHalf(slowLayer);
  plugins::Operation soon("soon", plugins::Operation::Clock::now() + std::chrono::seconds(10));
  const auto other = images_->pull(soon, "b.example/app:1", nullptr, {}, nullptr);
  EXPECT_TRUE(other.ok()) << other.status();
  openGate(slowLayer);
  EXPECT_TRUE(slow.get().ok());
}

TEST_F(ImageWaitsTest, TheLargestLayerIsTheFirst) {
  const std::string three = testing::noise(40'000, 3);
  publish("app:1", {two_, one_, three}, {testing::gzip(two_), layer_, testing::gzip(three)});
  open(1, 1);
  ASSERT_TRUE(pull("app:1").ok());
  std::vector<std::string> order;
  for (const std::string& line : host_.log())
    if (line.find("apply") != std::string::npos) order.push_back(line);
  EXPECT_THAT(order, ElementsAre(HasSubstr(sha256(one_)), HasSubstr(sha256(three)),
                                 HasSubstr(sha256(two_))));
}

// Freeing layers takes as long as the disk wishes.
TEST_F(ImageWaitsTest, WhatIsCollectedHoldsNobodyUp) {
  publish("old:1", {one_}, {layer_});
  publish("other:1", {two_}, {testing::gzip(two_)});
  const std::string three = testing::noise(5'000, 3);
  publish("new:1", {two_, three}, {testing::gzip(two_), testing::gzip(three)});
  ASSERT_TRUE(pull("old:1").ok());
  const auto other = pull("other:1");
  ASSERT_TRUE(other.ok());
  std::ofstream(host_.directory() / "hold").close();
  ASSERT_TRUE(images_->remove(op_, "a.example/old:1").ok());
  awaitCount("hold", 1);
  EXPECT_TRUE(pull("new:1").ok());
  EXPECT_TRUE(images_->ensureUnpacked(op_, **other, "snap", nullptr).ok()) << "as for a container";
  EXPECT_TRUE(images_->ensureUnpacked(op_, **other, "second", nullptr).ok());
  EXPECT_EQ(images_->list().size(), 2u);
  EXPECT_TRUE(images_->find("a.example/new:1").ok());
  EXPECT_TRUE(images_->remove(op_, "a.example/other:1").ok());
  // Only who wants what is going waits for its end.
  plugins::Operation impatient("impatient", plugins::Operation::Clock::now() + milliseconds(50));
  EXPECT_EQ(images_->pull(impatient, "a.example/old:1", nullptr, {}, nullptr).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(count("hold"), 1u) << "it is at it still";
  images_->finish();
  fs::remove(host_.directory() / "hold");
  EXPECT_TRUE(pull("old:1").ok());
}

TEST_F(ImageWaitsTest, WithoutThreadsAPullFailsAndTheNextOneSucceeds) {
  const std::string third = testing::noise(1000, 3);
  publish("app:1", {one_, two_, third}, {layer_, testing::gzip(two_), testing::gzip(third)});
  publishArtifact("model:1", "application/vnd.oci.image.layer.v1.tar+gzip", {layer_});
  {
    const testing_support::NoMoreThreads shortage;
    pullFailure("app:1", absl::StatusCode::kResourceExhausted);
    pullFailure("model:1", absl::StatusCode::kResourceExhausted);
  }
  EXPECT_TRUE(pull("app:1").ok());
  EXPECT_TRUE(pull("model:1").ok());
}

}  // namespace
}  // namespace berth::images
