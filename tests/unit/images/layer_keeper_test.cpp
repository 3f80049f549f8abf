// Unpacked layers and snapshotters that do not answer.
#include "images/layer_keeper.hpp"

#include <condition_variable>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../plugin-host/test_host.hpp"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using plugins::Kind;
using std::chrono::milliseconds;
using support::strCat;
using ::testing::HasSubstr;

class LayerKeeperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(registry_
                    .load({{Kind::kSnapshotter, "snap", "snapshotter", {}},
                           {Kind::kSnapshotter, "second", "snapshotter", {}}})
                    .ok());
    ASSERT_TRUE(registry_.start().ok());
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(host_.directory() / name) << text;
  }
  void have(const std::string& snapshotter, const std::string& layer) const {
    write(strCat("root/plugins/snapshotter-", snapshotter, "/", layer), "tar");
  }
  size_t count(const std::string& line) const {
    const auto log = host_.log();
    return static_cast<size_t>(std::count(log.begin(), log.end(), line));
  }
  bool await(const std::string& line) const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (count(line) == 0) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::yield();
    }
    return true;
  }

  plugins::testing::TestHost host_;
  plugins::Registry registry_{{test_paths::plugins}, host_.services()};
  std::function<absl::Status()> settle_ = [] { return absl::OkStatus(); };
  const std::function<bool(const WantedLayer&)> knows_ = [](auto&) { return false; };
};

TEST_F(LayerKeeperTest, TheStartFailsBesideASnapshotterThatDoesNotAnswer) {
  write("hold-list", "snap");
  LayerKeeper keeper(registry_, {.listing = milliseconds(50)}, settle_, knows_);
  const absl::Status loaded = keeper.load();
  EXPECT_FALSE(loaded.ok());
  EXPECT_THAT(std::string(loaded.message()),
              HasSubstr("snapshotter snap did not list its unpacked layers in time: "));
}

TEST_F(LayerKeeperTest, ALayerWhoseRemovalHangsHoldsUpNoOther) {
  have("snap", "a");
  have("snap", "b");
  write("hold", "snap a");
  LayerKeeper keeper(registry_, {.removal = milliseconds(50)}, settle_, knows_);
  ASSERT_TRUE(keeper.load().ok());
  EXPECT_TRUE(await("snap: remove layer=b"));
  EXPECT_EQ(count("snap: hold layer=a"), 1u);
  fs::remove(host_.directory() / "hold");
  keeper.wakeCollector();
  EXPECT_TRUE(await("snap: remove layer=a")) << "it is tried again";
}

TEST_F(LayerKeeperTest, ASnapshotterThatHangsHoldsUpNoOther) {
  for (const char* snapshotter : {"snap", "second"}) have(snapshotter, "a");
  write("hold", "second ");
  LayerKeeper keeper(registry_, {.removal = std::chrono::hours(1)}, settle_, knows_);
  ASSERT_TRUE(keeper.load().ok());
  EXPECT_TRUE(await("second: hold layer=a"));
  EXPECT_TRUE(await("snap: remove layer=a"));
  keeper.finish();
  EXPECT_EQ(count("second: remove layer=a"), 0u);
}

// What one collector has settled says nothing of what another still settles.
TEST_F(LayerKeeperTest, ALayerThatIsReleasedMeanwhileWaitsUntilThatIsSettled) {
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  int allowed = 0;
  settle_ = [&] {
    std::unique_lock lock(mutex);
    const int mine = ++begun;
    changed.notify_all();
    changed.wait(lock, [&] { return allowed >= mine; });
    return absl::OkStatus();
  };
  const auto allow = [&](int calls) {
    const std::lock_guard lock(mutex);
    allowed = calls;
    changed.notify_all();
  };
  const auto awaitBegun = [&](int calls) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return begun >= calls; });
  };
  const plugins::Layer layer{"a", "", "a"};
  const plugins::Layer other{"b", "", "b"};
  have("snap", "a");
  have("second", "b");
  LayerKeeper keeper(registry_, {}, settle_, knows_);
  keeper.claim({other});
  ASSERT_TRUE(keeper.load().ok());
  ASSERT_TRUE(awaitBegun(1)) << "by the collector of the first";
  keeper.claim({layer});
  keeper.release({layer, other});
  EXPECT_TRUE(awaitBegun(2)) << "by that of the second";
  allow(1);
  EXPECT_TRUE(awaitBegun(3)) << "by the first again";
  EXPECT_EQ(count("snap: remove layer=a"), 0u);
  allow(1000);
  EXPECT_TRUE(await("snap: remove layer=a"));
  EXPECT_TRUE(await("second: remove layer=b"));
}

}  // namespace
}  // namespace berth::images
