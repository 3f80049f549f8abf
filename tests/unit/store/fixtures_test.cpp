// What each version has written is read by this one.
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/recorded_versions.hpp"
#include "../support/temporary_directory.hpp"
#include "records.pb.h"
#include "store/store.hpp"

namespace berth::store {
namespace {

using berth::testing::TemporaryDirectory;
using ::testing::SizeIs;

template <class Record>
std::vector<Record> recordsOf(Store& store, std::string_view kind) {
  std::vector<Record> records;
  const auto entries = store.list(kind);
  if (!entries.ok()) {
    ADD_FAILURE() << entries.status();
    return records;
  }
  for (const Entry& entry : *entries) {
    Record record;
    EXPECT_TRUE(record.ParseFromString(entry.value)) << kind << " " << entry.id;
    EXPECT_EQ(record.id(), entry.id);
    records.push_back(std::move(record));
  }
  return records;
}

class StoreFixtures : public ::testing::TestWithParam<std::string> {};

INSTANTIATE_TEST_SUITE_P(Versions, StoreFixtures,
                         ::testing::ValuesIn(berth::testing::recordedVersions()));

TEST_P(StoreFixtures, TheDatabaseIsRead) {
  const TemporaryDirectory directory;
  const std::string path = directory / "berth.db";
  std::filesystem::copy_file(berth::testing::fixtureOf(GetParam(), "berth.db"), path);
  std::string setAside;
  const auto store = Store::open(path, setAside);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(setAside, "");
  EXPECT_THAT(*(*store)->damaged(), SizeIs(0));

  const auto pods = recordsOf<records::PodRecord>(**store, "pod");
  ASSERT_THAT(pods, SizeIs(1));
  EXPECT_EQ(pods[0].config().metadata().name(), "web");
  EXPECT_EQ(pods[0].config().labels().at("app"), "web");
  EXPECT_EQ(pods[0].state(), records::POD_READY);
  EXPECT_EQ(pods[0].runtime(), "runc");
  EXPECT_FALSE(pods[0].boot_id().empty());
  EXPECT_FALSE(pods[0].namespaces().empty());
  EXPECT_TRUE(pods[0].network().wanted());
  EXPECT_THAT(pods[0].network().addresses(), SizeIs(1));

  const auto containers = recordsOf<records::ContainerRecord>(**store, "container");
  ASSERT_THAT(containers, SizeIs(2));
  const bool first = containers[0].config().metadata().name() == "long";
  const records::ContainerRecord& running = containers[first ? 0 : 1];
  const records::ContainerRecord& ended = containers[first ? 1 : 0];
  EXPECT_EQ(running.state(), runtime::v1::CONTAINER_RUNNING);
  EXPECT_EQ(running.pod_id(), pods[0].id());
  EXPECT_GT(running.pid(), 0);
  EXPECT_EQ(running.snapshotter(), "overlay");
  EXPECT_EQ(ended.state(), runtime::v1::CONTAINER_EXITED);
  EXPECT_EQ(ended.exit_code(), 7);
  EXPECT_GT(ended.finished_at(), ended.started_at());

  const auto images = recordsOf<records::ImageRecord>(**store, "image");
  ASSERT_THAT(images, SizeIs(1));
  EXPECT_EQ(images[0].id(), running.image_id());
  EXPECT_THAT(images[0].tags(), SizeIs(1));
  EXPECT_EQ(images[0].layers_size(), running.layers_size());
}

}  // namespace
}  // namespace berth::store
