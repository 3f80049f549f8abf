// Pulls that have to wait, and pulls on a system that has no more threads.
#include <future>

#include "../no_more_threads.hpp"
#include "image_service_fixture.hpp"

namespace berth::images {
namespace {

using std::chrono::milliseconds;

class ImageWaitsTest : public testing::ImageServiceTest {
 protected:
  using Pulled = absl::StatusOr<std::shared_ptr<const Image>>;

  std::future<Pulled> begin(const plugins::Operation& op, const std::string& name) {
    return std::async(std::launch::async, [this, &op, name] {
      return images_->pull(op, "a.example/" + name, nullptr, "", nullptr);
    });
  }
  const std::string layer_ = testing::gzip(one_);
};

TEST_F(ImageWaitsTest, WhoWaitsForALayerOfAnotherPullMayGiveUp) {
  publish("first:1", {one_}, {layer_});
  publish("second:1", {one_, two_}, {layer_, testing::gzip(two_)});
  closeGate(sha256(layer_));
  auto owner = begin(op_, "first:1");
  awaitCount("at the gate", 1);

  plugins::Operation impatient("impatient", plugins::Operation::Clock::now() + milliseconds(50));
  EXPECT_EQ(images_->pull(impatient, "a.example/second:1", nullptr, "", nullptr).status().code(),
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
  EXPECT_EQ(images_->pull(impatient, "a.example/second:1", nullptr, "", nullptr).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  openGate(sha256(layer_));
  EXPECT_TRUE(owner.get().ok());
  EXPECT_TRUE(pull("second:1").ok());
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
