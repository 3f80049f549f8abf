// What is kept beside layers and snapshots: the formats of earlier versions, and of later ones.
#include "records.hpp"

#include <filesystem>
#include <fstream>
#include <sys/resource.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/recorded_versions.hpp"
#include "../support/temporary_directory.hpp"
#include "berth/support/files.hpp"

namespace berth::overlay {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class RecordFixtures : public ::testing::TestWithParam<std::string> {
 protected:
  static std::string fixture(const std::string& name) {
    return testing::fixtureOf(GetParam(), name);
  }
};

INSTANTIATE_TEST_SUITE_P(Versions, RecordFixtures,
                         ::testing::ValuesIn(testing::recordedVersions()));

TEST_P(RecordFixtures, TheLayer) {
  const auto layer = readLayerRecord(fixture(""));
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_THAT(layer->diffId, StartsWith("sha256:"));
  EXPECT_GT(layer->usage.bytes, 0u);
  EXPECT_GT(layer->usage.inodes, 0u);
}

TEST(Records, ALayerFromBeforeThereWereListsOfWhatOneHolds) {
  const auto layer = readLayerRecord(testing::fixtureOf("0.1", ""));
  ASSERT_TRUE(layer.ok()) << layer.status();
  EXPECT_FALSE(layer->content.has_value());
}

TEST_P(RecordFixtures, WhatTheLayerHolds) {
  const std::string directory = fixture("layer");
  const auto layer = readLayerRecord(directory);
  ASSERT_TRUE(layer.ok()) << layer.status();
  ASSERT_TRUE(layer->content.has_value());
  const auto list = readContentList(contentListPath(directory), *layer->content);
  ASSERT_TRUE(list.ok()) << list.status();
  std::string_view left = *list;
  uint64_t entries = 0;
  for (;; ++entries) {
    const auto entry = nextEntry(left);
    ASSERT_TRUE(entry.ok()) << entry.status();
    if (!*entry) break;
    EXPECT_EQ((*entry)->path.empty(), entries == 0) << "the root is the first";
  }
  EXPECT_EQ(entries, layer->content->entries);
  EXPECT_EQ(encode(*layer), *support::readFile(layerRecordPath(directory)));
}

TEST_P(RecordFixtures, TheSnapshot) {
  const auto snapshot = readSnapshotRecord(fixture(""));
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_FALSE(snapshot->key.empty());
  EXPECT_THAT(snapshot->layers, Contains(readLayerRecord(fixture(""))->diffId));
  EXPECT_FALSE(snapshot->readOnly);
}

TEST(Records, WhatANewerPluginWroteIsNotTakenForDamage) {
  const berth::testing::TemporaryDirectory directory;
  const auto write = [&](const std::string& text) {
    std::ofstream(directory / "layer.json") << text;
    return readLayerRecord(directory.path()).status();
  };
  const absl::Status newer = write(R"({"version": 2, "of": "another kind"})");
  EXPECT_EQ(newer.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(newer.ToString(), HasSubstr("format 2"));
  for (const char* damaged : {"", "{}", R"({"version": 0})", R"({"version": 1})", "{\"version\""}) {
    EXPECT_EQ(write(damaged).code(), absl::StatusCode::kDataLoss) << damaged;
  }
  // What is added to a format is kept apart from what breaks it.
  EXPECT_TRUE(
      write(R"({"version": 1, "diffId": "sha256:a", "bytes": 1, "inodes": 1, "new": true})").ok());
}

TEST(Records, OnlyWhatWasReadCanBeDamaged) {
  const berth::testing::TemporaryDirectory directory;
  const auto damage = [&] { return isDamage(readLayerRecord(directory.path()).status()); };
  EXPECT_TRUE(damage()) << "it is missing";
  std::filesystem::create_directory(directory / "layer.json");
  EXPECT_TRUE(damage()) << "something else stands there";
  std::filesystem::remove(directory / "layer.json");
  std::filesystem::create_symlink(directory / "layer.json", directory / "layer.json");
  EXPECT_FALSE(damage()) << readLayerRecord(directory.path()).status();
  std::filesystem::remove(directory / "layer.json");
  std::ofstream(directory / "layer.json") << "{";
  EXPECT_TRUE(damage());
  std::filesystem::resize_file(directory / "layer.json", (uintmax_t{64} << 20) + 1);
  EXPECT_TRUE(damage()) << "larger than any that is written";
  std::filesystem::resize_file(directory / "layer.json", 1);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status shortage = readLayerRecord(directory.path()).status();
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(absl::IsResourceExhausted(shortage)) << shortage;
}

}  // namespace
}  // namespace berth::overlay
