// What reaches the disk and when, and what happens when the disk is full.
#include <chrono>
#include <filesystem>
#include <functional>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/durable.hpp"
#include "berth/support/status.hpp"
#include "common/refusal.hpp"
#include "disk_faults.hpp"
#include "store/store.hpp"

namespace {
std::mutex stepsMutex;
std::vector<std::string> steps;
}  // namespace

extern "C" void berth_durable_step(const char* primitive, const char* subject) {
  const std::lock_guard lock(stepsMutex);
  steps.push_back(std::string(primitive) + " " + subject);
}

namespace berth::store {
namespace {

using berth::testing::TemporaryDirectory;
using ::testing::Contains;
using testing::disk;
using ::testing::HasSubstr;
using testing::letSyncsGo;
using ::testing::Not;

class StoreDiskTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "berth.db";
  std::unique_ptr<Store> store_ = open();

  void SetUp() override { disk.logSyncs = 0; }
  void TearDown() override {
    letSyncsGo();
    disk.failSyncs = false;
    disk.failWrites = false;
    disk.readOnly = false;
    disk.fullWrites = 0;
    disk.goodUpTo = -1;
  }
  std::unique_ptr<Store> open() {
    std::string setAside;
    auto store = Store::open(path_, setAside);
    EXPECT_TRUE(store.ok()) << store.status();
    EXPECT_EQ(setAside, "");
    return store.ok() ? *std::move(store) : nullptr;
  }
  void execute(const char* sql) {
    sqlite3* other = nullptr;
    ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(other, sql, nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(other);
    sqlite3_close(other);
  }
  // What such a statement says.
  int number(const char* sql) const {
    sqlite3* other = nullptr;
    sqlite3_stmt* statement = nullptr;
    EXPECT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
    EXPECT_EQ(sqlite3_prepare_v2(other, sql, -1, &statement, nullptr), SQLITE_OK);
    EXPECT_EQ(sqlite3_step(statement), SQLITE_ROW);
    const int found = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(other);
    return found;
  }
  // What is in the database itself, without the log.
  bool isInDatabase(const std::string& id) const {
    sqlite3* other = nullptr;
    sqlite3_stmt* query = nullptr;
    const std::string uri = "file:" + path_ + "?immutable=1";
    EXPECT_EQ(sqlite3_open_v2(uri.c_str(), &other, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, nullptr),
              SQLITE_OK);
    const std::string sql = "SELECT 1 FROM records WHERE id = '" + id + "'";
    // While a checkpoint writes it may look like anything.
    const bool found = sqlite3_prepare_v2(other, sql.c_str(), -1, &query, nullptr) == SQLITE_OK &&
                       sqlite3_step(query) == SQLITE_ROW;
    sqlite3_finalize(query);
    sqlite3_close(other);
    return found;
  }
  static void awaitSyncs(int count) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (disk.logSyncs < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "nothing is ever synced";
      std::this_thread::yield();
    }
  }
  static bool eventually(const std::function<bool()>& holds) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > limit) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }
  std::string reserve() const { return path_ + ".reserve"; }
  void awaitReserve() const {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!std::filesystem::exists(reserve())) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the reserve stays away";
      std::this_thread::yield();
    }
  }
};

TEST_F(StoreDiskTest, WhatIsChangedIsSyncedAMomentLater) {
  for (int round = 1; round < 4; ++round) {
    ASSERT_TRUE(store_->put("pod", "a", support::strCat(round)).ok());
    awaitSyncs(round);
  }
}

TEST_F(StoreDiskTest, ChangesOfOneMomentShareASync) {
  disk.holdSyncs = true;
  ASSERT_TRUE(store_->put("pod", "first", "x").ok());
  awaitSyncs(1);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(store_->put("pod", support::strCat(i), "x").ok());
  EXPECT_EQ(disk.logSyncs, 1) << "a change waits for no sync";
  letSyncsGo();
  awaitSyncs(2);
  ASSERT_TRUE(store_->put("pod", "last", "x").ok());
  awaitSyncs(3);
  EXPECT_EQ(disk.logSyncs, 3);
}

// A sync that empties the log would make the next change of anyone sync its header.
TEST_F(StoreDiskTest, ASyncLeavesTheLogAsItIs) {
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(store_->put("pod", "a", support::strCat(i)).ok());
    const int before = disk.logSyncs;
    ASSERT_TRUE(store_->sync().ok());
    ASSERT_GT(disk.logSyncs, before) << "the log is what is synced";
  }
  EXPECT_FALSE(isInDatabase("a"));
}

TEST_F(StoreDiskTest, ASyncThatFailsIsAnError) {
  ASSERT_TRUE(store_->put("image", "a", "x").ok());
  disk.failSyncs = true;
  EXPECT_THAT(store_->sync().ToString(), HasSubstr(path_));
  disk.failSyncs = false;
  EXPECT_TRUE(store_->sync().ok());
}

TEST_F(StoreDiskTest, ChangesThatAreRefusedAreAnOutageUntilTheyAreNot) {
  EXPECT_FALSE(store_->outage());
  const auto begin = std::chrono::steady_clock::now();
  disk.failWrites = true;
  EXPECT_FALSE(store_->put("pod", "a", "x").ok());
  ASSERT_TRUE(store_->outage());
  const auto since = store_->outage()->since;
  EXPECT_GE(since, begin);
  EXPECT_THAT(store_->outage()->why, HasSubstr("I/O"));
  EXPECT_FALSE(store_->put("pod", "b", "x").ok());
  EXPECT_EQ(store_->outage()->since, since) << "it is the same one";
  disk.failWrites = false;
  EXPECT_TRUE(store_->put("pod", "a", "x").ok());
  EXPECT_FALSE(store_->outage());
}

TEST_F(StoreDiskTest, WhatCannotBeSyncedIsAnOutage) {
  disk.failSyncs = true;
  ASSERT_TRUE(store_->put("pod", "a", "x").ok());
  EXPECT_TRUE(eventually([this] { return store_->outage().has_value(); }));
  // What is taken may yet be lost.
  ASSERT_TRUE(store_->put("pod", "b", "x").ok());
  EXPECT_TRUE(store_->outage());
}

// Whoever is told of an outage makes no changes any more.
TEST_F(StoreDiskTest, AnOutageEndsWithoutAnybodysChange) {
  disk.failWrites = disk.failSyncs = true;
  EXPECT_FALSE(store_->put("pod", "a", "x").ok());
  EXPECT_FALSE(store_->sync().ok());
  ASSERT_TRUE(store_->outage());
  const auto since = store_->outage()->since;
  // Longer than between two trials.
  std::this_thread::sleep_for(std::chrono::seconds(6));
  ASSERT_TRUE(store_->outage());
  EXPECT_EQ(store_->outage()->since, since);
  disk.failWrites = disk.failSyncs = false;
  EXPECT_TRUE(eventually([this] { return !store_->outage().has_value(); }));
}

// Files that are open may be written even so.
TEST_F(StoreDiskTest, AFileSystemThatIsReadOnlyIsAnOutage) {
  disk.readOnly = true;
  ASSERT_TRUE(store_->outage());
  const auto since = store_->outage()->since;
  EXPECT_THAT(store_->outage()->why, HasSubstr("read-only"));
  EXPECT_TRUE(store_->put("pod", "a", "x").ok());
  ASSERT_TRUE(store_->outage());
  EXPECT_EQ(store_->outage()->since, since);
  disk.readOnly = false;
  EXPECT_FALSE(store_->outage());
}

// It takes the changes that make room.
TEST_F(StoreDiskTest, AFullDiskIsNoOutage) {
  disk.fullWrites = 1000;
  EXPECT_TRUE(absl::IsResourceExhausted(store_->put("pod", "a", "x")));
  EXPECT_FALSE(store_->outage());
}

// Erasing counts as well: the log of a node that only removes does not grow for ever.
TEST_F(StoreDiskTest, ManyErasuresAreCheckpointed) {
  ASSERT_TRUE(store_->put("pod", "kept", "x").ok());
  for (int i = 0; i < 2001; ++i) ASSERT_TRUE(store_->erase("pod", support::strCat(i)).ok());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!isInDatabase("kept")) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the log is never emptied";
    ASSERT_TRUE(store_->put("pod", "other", "x").ok());
  }
}

TEST_F(StoreDiskTest, ChangesAreAppliedTogetherOrNotAtAll) {
  ASSERT_TRUE(store_->put("image", "old", "tagged").ok());
  ASSERT_TRUE(store_->put("image", "gone", "x").ok());
  execute(
      "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.id = 'new' "
      "BEGIN SELECT RAISE(ABORT, 'refused'); END");
  const std::vector<Change> changes = {
      {"image", "old", "untagged"}, {"image", "gone", std::nullopt}, {"image", "new", "tagged"}};
  EXPECT_THAT(store_->apply(changes).ToString(), HasSubstr("refused"));
  EXPECT_EQ(*store_->get("image", "old"), "tagged");
  EXPECT_EQ(*store_->get("image", "gone"), "x");
  execute("DROP TRIGGER refuse");
  ASSERT_TRUE(store_->apply(changes).ok());
  store_.reset();
  store_ = open();
  EXPECT_EQ(*store_->get("image", "old"), "untagged");
  EXPECT_EQ(*store_->get("image", "new"), "tagged");
  EXPECT_EQ(store_->list("image")->size(), 2u);
}

TEST_F(StoreDiskTest, OnAFullDiskTheReserveMakesRoomForAChange) {
  ASSERT_TRUE(store_->put("image", "a", "x").ok());
  ASSERT_GE(std::filesystem::file_size(reserve()), 1u << 20);
  for (const bool erase : {false, true}) {
    awaitReserve();  // the store's thread makes it again
    {
      const std::lock_guard lock(stepsMutex);
      steps.clear();
    }
    disk.fullWrites = 1;
    const absl::Status status = erase ? store_->erase("image", "a") : store_->put("pod", "p", "y");
    EXPECT_TRUE(status.ok()) << status;
    const std::lock_guard lock(stepsMutex);
    EXPECT_THAT(steps, Contains("unlink " + reserve()));
  }
  EXPECT_EQ(store_->get("image", "a").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store_->get("pod", "p"), "y");
  // There is room again.
  awaitReserve();
}

// Room on the disk is none in memory.
TEST_F(StoreDiskTest, WithoutMemoryTheReserveStays) {
  awaitReserve();
  {
    const std::lock_guard lock(stepsMutex);
    steps.clear();
  }
  const std::string large(8u << 20, 'x');
  const sqlite3_int64 before = sqlite3_hard_heap_limit64(sqlite3_memory_used() + (1 << 20));
  const absl::Status status = store_->put("pod", "a", large);
  sqlite3_hard_heap_limit64(before);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  {
    const std::lock_guard lock(stepsMutex);
    EXPECT_THAT(steps, Not(Contains("unlink " + reserve())));
  }
  EXPECT_TRUE(store_->put("pod", "a", large).ok());
}

TEST_F(StoreDiskTest, ADiskThatStaysFullIsResourceExhausted) {
  ASSERT_TRUE(store_->put("pod", "a", "x").ok());
  disk.fullWrites = 1000;
  EXPECT_EQ(store_->put("pod", "b", "y").code(), absl::StatusCode::kResourceExhausted);
  disk.fullWrites = 0;
  EXPECT_EQ(*store_->get("pod", "a"), "x");
  EXPECT_TRUE(store_->put("pod", "b", "y").ok());
}

TEST_F(StoreDiskTest, TheLogsFilesStayForTheNextStart) {
  ASSERT_TRUE(store_->put("pod", "a", "x").ok());
  store_.reset();
  for (const char* suffix : {"-wal", "-shm"}) {
    EXPECT_TRUE(std::filesystem::exists(path_ + suffix)) << suffix;
  }
  struct stat log = {};
  ASSERT_EQ(::stat((path_ + "-wal").c_str(), &log), 0);
  EXPECT_EQ(log.st_size, 0) << "there is nothing left to recover";
  EXPECT_GE(log.st_blocks * 512, 4 << 20) << "its room is held";
  EXPECT_EQ(*open()->get("pod", "a"), "x");
}

TEST_F(StoreDiskTest, ANewerFormatIsRefusedAndLeftAlone) {
  ASSERT_TRUE(store_->put("pod", "a", "kept").ok());
  store_.reset();
  execute("PRAGMA user_version=2");
  std::string setAside;
  const auto refused = Store::open(path_, setAside);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(common::isRefusal(refused.status()));
  EXPECT_THAT(refused.status().ToString(), ::testing::AllOf(HasSubstr(path_), HasSubstr("2")));
  EXPECT_EQ(setAside, "");
  execute("PRAGMA user_version=1");
  EXPECT_EQ(*open()->get("pod", "a"), "kept");
}

TEST_F(StoreDiskTest, ANewerFormatIsToldBeforehand) {
  EXPECT_TRUE(Store::refuseNewer(path_).ok()) << "while it is open";
  // It is in the log alone at first.
  execute("PRAGMA user_version=2");
  const absl::Status refused = Store::refuseNewer(path_);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  store_.reset();
  std::string setAside;
  EXPECT_EQ(Store::refuseNewer(path_), Store::open(path_, setAside).status());
  EXPECT_EQ(refused, Store::refuseNewer(path_));
  execute("PRAGMA user_version=1");
  EXPECT_TRUE(Store::refuseNewer(path_).ok());
}

TEST_F(StoreDiskTest, ToLookForANewerFormatMakesNothing) {
  EXPECT_TRUE(Store::refuseNewer(directory_ / "none").ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ / "none"));
  // Of a name with what means something in a URI.
  store_.reset();
  const std::string copy = directory_ / "a%20?b#c";
  std::filesystem::copy(path_, copy);
  EXPECT_TRUE(Store::refuseNewer(copy).ok());
  EXPECT_FALSE(std::filesystem::exists(copy + "-shm"));
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(copy.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "PRAGMA user_version=2", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(other);
  EXPECT_EQ(Store::refuseNewer(copy).code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(StoreDiskTest, TheFormatIsKeptInTheDatabase) {
  store_.reset();
  EXPECT_EQ(number("PRAGMA user_version"), 1);
  // As before formats were numbered.
  execute("PRAGMA user_version=0");
  open();
  EXPECT_EQ(number("PRAGMA user_version"), 1);
}

// An empty database would end every pod of the node.
TEST_F(StoreDiskTest, ADatabaseOfWhichNothingCanBeReadIsLeftAlone) {
  ASSERT_TRUE(store_->put("pod", "a", "goes on").ok());
  store_.reset();
  disk.goodUpTo = 0;
  std::string setAside;
  const auto failed = Store::open(path_, setAside);
  EXPECT_TRUE(absl::IsUnavailable(failed.status())) << failed.status();
  EXPECT_THAT(failed.status().message(), HasSubstr("go on by themselves"));
  EXPECT_EQ(setAside, "");
  disk.goodUpTo = -1;
  store_ = open();
  EXPECT_EQ(*store_->get("pod", "a"), "goes on");
}

TEST_F(StoreDiskTest, WhatCanBeReadBeforeABadSectorGoesOn) {
  constexpr int kRecords = 1000;
  for (int i = 0; i < kRecords; ++i)
    ASSERT_TRUE(store_->put("pod", support::strCat(10'000 + i), std::string(100, 'x')).ok());
  store_.reset();
  // The database that takes its place is no longer than that.
  disk.goodUpTo = (number("PRAGMA page_count") - 8) * number("PRAGMA page_size");
  std::string setAside;
  auto store = Store::open(path_, setAside);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(setAside, HasSubstr(".damaged-"));
  int kept = 0;
  ASSERT_TRUE((*store)->each("pod", [&](const Entry&) { ++kept; }).ok());
  EXPECT_GT(kept, kRecords / 10);
  EXPECT_LT(kept, kRecords);
}

}  // namespace
}  // namespace berth::store
