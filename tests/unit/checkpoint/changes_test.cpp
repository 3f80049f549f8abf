#include "engine/checkpoint/changes.hpp"

#include "../snapshotter-overlay/tar_writer.hpp"
#include "fixture.hpp"
#include "images/digest.hpp"

namespace berth::checkpoint {
namespace {

using ::testing::ElementsAre;

class ChangesTest : public CheckpointTest {
 protected:
  ChangesTest() { std::filesystem::create_directory(path("tree")); }

  absl::Status split(const std::string& layer) {
    writeText(path("tree/changes.tar"), layer);
    return splitLayer(path("tree/changes.tar"), path("tree"), goOn);
  }
  static std::vector<std::string> namesIn(const std::string& archive) {
    const auto entries = test::readAll(archive);
    EXPECT_TRUE(entries.ok()) << entries.status();
    std::vector<std::string> names;
    if (!entries.ok()) return names;
    for (const test::ReadEntry& read : *entries) names.push_back(read.entry.name);
    return names;
  }
  void deleted(const std::string& json) { writeText(path("tree/deleted.files"), json); }
  absl::StatusOr<RestoredLayer> join(const std::string& container = "c") {
    std::filesystem::remove(path("tree/layer.tar"));
    return joinLayer(path("tree"), container, goOn);
  }
};

TEST_F(ChangesTest, WhatIsRemovedIsListed) {
  ASSERT_TRUE(split(test::TarWriter()
                        .file(".wh.first", "")
                        .directory("etc")
                        .file("etc/.wh.motd", "")
                        .file("etc/hostname", std::string(700, 'h'))
                        .file("etc/.wh.last", "")
                        .finish())
                  .ok());
  EXPECT_THAT(namesIn(readText(path("tree/rootfs-diff.tar"))), ElementsAre("etc", "etc/hostname"));
  EXPECT_EQ(readText(path("tree/deleted.files")), R"(["/first","/etc/motd","/etc/last"])");
  EXPECT_FALSE(std::filesystem::exists(path("tree/changes.tar")));
}

TEST_F(ChangesTest, WithNothingRemovedTheLayerIsTheDiff) {
  const std::string layer = test::TarWriter().file("new", "x").finish();
  ASSERT_TRUE(split(layer).ok());
  EXPECT_EQ(readText(path("tree/rootfs-diff.tar")), layer);
  EXPECT_FALSE(std::filesystem::exists(path("tree/deleted.files")));
}

TEST_F(ChangesTest, BothTogetherAreTheLayerAgain) {
  ASSERT_TRUE(
      split(test::TarWriter().file("etc/.wh.motd", "").file("etc/hostname", "host").finish()).ok());
  const auto layer = join();
  ASSERT_TRUE(layer.ok()) << layer.status();
  const std::string archive = readText(layer->file);
  EXPECT_THAT(namesIn(archive), ElementsAre("etc/.wh.motd", "etc/hostname"));
  EXPECT_EQ(layer->diffId, images::sha256(archive));
}

TEST_F(ChangesTest, EachContainersLayerIsItsOwn) {
  ASSERT_TRUE(split(test::TarWriter().file("new", "x").finish()).ok());
  const auto one = join("one");
  const auto other = join("other");
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_NE(one->diffId, other->diffId);
}

TEST_F(ChangesTest, NothingChangedIsNoLayer) {
  const auto layer = join();
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->diffId, "");
}

TEST_F(ChangesTest, OnlyRemovedIsALayerToo) {
  deleted(R"(["/etc/motd"])");
  const auto layer = join();
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_THAT(namesIn(readText(layer->file)), ElementsAre("etc/.wh.motd"));
}

TEST_F(ChangesTest, NullIsNothing) {
  deleted("null");  // as others write an empty list
  const auto layer = join();
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_EQ(layer->diffId, "");
}

TEST_F(ChangesTest, RefusesPathsThatAreNone) {
  for (const char* json :
       {R"(["/"])", R"([""])", R"(["/a/../../b"])", R"(["/a/./b"])", R"(["/.wh.a/b"])",
        R"(["/a/.wh.b"])", R"([1])", R"({"a": 1})", "[", R"("text")"}) {
    deleted(json);
    EXPECT_EQ(join().status().code(), absl::StatusCode::kInvalidArgument) << json;
  }
}

TEST_F(ChangesTest, ADamagedLayerIsSaidToBe) {
  const absl::Status status = split("no archive" + std::string(600, 'x'));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace berth::checkpoint
