#include "store/store.hpp"

#include <atomic>
#include <filesystem>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"

namespace berth::store {
namespace {

using support::strCat;
using testing::TemporaryDirectory;

class StoreTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "berth.db";
  std::unique_ptr<Store> store_ = open(path_);

  static std::unique_ptr<Store> open(const std::string& path) {
    std::string setAside;
    auto store = Store::open(path, setAside);
    EXPECT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(setAside, "");
    return store.ok() ? *std::move(store) : nullptr;
  }
};

TEST_F(StoreTest, PutsAndGets) {
  const std::string bytes("\0binary\xff", 8);
  ASSERT_TRUE(store_->put("pod", "a", bytes).ok());
  EXPECT_EQ(*store_->get("pod", "a"), bytes);
}

TEST_F(StoreTest, AnEmptyValueIsAValue) {
  ASSERT_TRUE(store_->put("pod", "a", "").ok());
  ASSERT_TRUE(store_->get("pod", "a").ok());
  EXPECT_EQ(*store_->get("pod", "a"), "");
}

TEST_F(StoreTest, PutReplaces) {
  ASSERT_TRUE(store_->put("pod", "a", "one").ok());
  ASSERT_TRUE(store_->put("pod", "a", "two").ok());
  EXPECT_EQ(*store_->get("pod", "a"), "two");
  EXPECT_EQ(store_->list("pod")->size(), 1u);
}

TEST_F(StoreTest, AMissingRecordIsNotFoundByName) {
  const auto missing = store_->get("pod", "nobody");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(missing.status().message(), "no pod nobody is recorded");
}

TEST_F(StoreTest, KindsAreApart) {
  ASSERT_TRUE(store_->put("pod", "a", "pod").ok());
  ASSERT_TRUE(store_->put("container", "a", "container").ok());
  ASSERT_TRUE(store_->erase("pod", "a").ok());
  EXPECT_EQ(*store_->get("container", "a"), "container");
  EXPECT_TRUE(store_->list("pod")->empty());
}

TEST_F(StoreTest, ErasingIsIdempotent) {
  ASSERT_TRUE(store_->put("pod", "a", "x").ok());
  EXPECT_TRUE(store_->erase("pod", "a").ok());
  EXPECT_TRUE(store_->erase("pod", "a").ok());
  EXPECT_EQ(store_->get("pod", "a").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(StoreTest, ListsInTheOrderOfIds) {
  for (const char* id : {"c", "a", "b"}) {
    ASSERT_TRUE(store_->put("pod", id, strCat("value ", id)).ok());
  }
  const auto entries = store_->list("pod");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].id, "a");
  EXPECT_EQ((*entries)[1].value, "value b");
  EXPECT_EQ((*entries)[2].id, "c");
}

TEST_F(StoreTest, SettingAsideKeepsTheReasonAndTakesTheRecordAway) {
  ASSERT_TRUE(store_->put("pod", "a", "garbage").ok());
  ASSERT_TRUE(store_->put("pod", "b", "fine").ok());
  ASSERT_TRUE(store_->setAside("pod", "a", "it does not parse").ok());
  EXPECT_EQ(store_->get("pod", "a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store_->get("pod", "b"), "fine");
  const auto damaged = store_->damaged();
  ASSERT_TRUE(damaged.ok());
  ASSERT_EQ(damaged->size(), 1u);
  EXPECT_EQ(damaged->front().kind, "pod");
  EXPECT_EQ(damaged->front().id, "a");
  EXPECT_EQ(damaged->front().reason, "it does not parse");
}

TEST_F(StoreTest, EverythingIsThereAfterReopening) {
  ASSERT_TRUE(store_->put("pod", "a", "kept").ok());
  ASSERT_TRUE(store_->put("pod", "b", "gone").ok());
  ASSERT_TRUE(store_->erase("pod", "b").ok());
  ASSERT_TRUE(store_->put("pod", "c", "bad").ok());
  ASSERT_TRUE(store_->setAside("pod", "c", "why").ok());
  store_.reset();
  store_ = open(path_);
  ASSERT_EQ(store_->list("pod")->size(), 1u);
  EXPECT_EQ(*store_->get("pod", "a"), "kept");
  EXPECT_EQ(store_->damaged()->size(), 1u);
}

// Without a clean end: the files as they are while the store is still open.
TEST_F(StoreTest, EverythingIsThereAfterAnAbruptEnd) {
  ASSERT_TRUE(store_->put("pod", "a", "kept").ok());
  const std::string copy = directory_ / "copy.db";
  for (const char* suffix : {"", "-wal"}) std::filesystem::copy_file(path_ + suffix, copy + suffix);
  EXPECT_EQ(*open(copy)->get("pod", "a"), "kept");
}

// Enough changes for several checkpoints of the store's own thread, while others sync.
TEST_F(StoreTest, ManyWritersReadersAndSyncsAtOnce) {
  constexpr int kWriters = 4;
  constexpr int kChanges = 1500;
  std::atomic<int> writing{kWriters};
  std::vector<std::thread> threads;
  for (int writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (int i = 0; i < kChanges; ++i) {
        const std::string id = strCat(writer, "-", i % 50);
        EXPECT_TRUE(store_->put("pod", id, strCat(i)).ok());
        if (i % 7 == 0) {
          const auto read = store_->get("pod", id);
          ASSERT_TRUE(read.ok()) << read.status();
          EXPECT_EQ(*read, strCat(i));
        }
      }
      --writing;
    });
  }
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (writing > 0) {
        const absl::Status status = store_->sync();
        ASSERT_TRUE(status.ok()) << status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(store_->list("pod")->size(), 4u * 50u);
  store_.reset();
  EXPECT_EQ(*open(path_)->get("pod", "3-49"), "1499");
}

}  // namespace
}  // namespace berth::store
