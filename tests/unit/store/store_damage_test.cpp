// A database that is damaged never keeps the daemon from starting.
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "store/store.hpp"

namespace berth::store {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TemporaryDirectory;

constexpr size_t kPage = 4096;

class StoreDamageTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "berth.db";

  void expectSetAside() {
    std::string setAside;
    auto store = Store::open(path_, setAside);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_THAT(setAside, StartsWith(path_ + ".damaged-"));
    EXPECT_TRUE(std::filesystem::exists(setAside)) << "its bytes are kept for people";
    EXPECT_TRUE((*store)->list("pod")->empty());
    ASSERT_TRUE((*store)->put("pod", "new", "works").ok());
    EXPECT_EQ(*(*store)->get("pod", "new"), "works");
  }
  // A database of many pages whose content is all in the main file.
  void fill() {
    std::string setAside;
    auto store = Store::open(path_, setAside);
    ASSERT_TRUE(store.ok()) << store.status();
    for (int i = 0; i < 300; ++i) {
      ASSERT_TRUE((*store)->put("pod", support::strCat("pod-", i), std::string(400, 'x')).ok());
    }
    ASSERT_TRUE((*store)->sync().ok());
  }
  void overwrite(std::streamoff from, size_t length) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(from);
    file << std::string(length, '\x5a');
  }
};

TEST_F(StoreDamageTest, AFileThatIsNoDatabaseIsSetAside) {
  std::ofstream(path_) << std::string(8192, 'x');
  expectSetAside();
}

TEST_F(StoreDamageTest, ADamagedHeaderIsSetAside) {
  fill();
  overwrite(0, 64);
  expectSetAside();
}

TEST_F(StoreDamageTest, DamagedPagesAreSetAside) {
  fill();
  overwrite(kPage, 16 * kPage);
  expectSetAside();
}

TEST_F(StoreDamageTest, ACutOffDatabaseIsSetAside) {
  fill();
  std::filesystem::resize_file(path_, 3 * kPage);
  expectSetAside();
}

// What a daemon holds in memory does not hide what the disk has lost.
TEST_F(StoreDamageTest, IsFoundWhileTheDatabaseIsOpen) {
  fill();
  std::string setAside;
  auto store = Store::open(path_, setAside);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE((*store)->verify().ok());
  ASSERT_TRUE((*store)->put("pod", "new", "in the log alone").ok());
  EXPECT_TRUE((*store)->verify().ok());
  overwrite(kPage, 16 * kPage);
  EXPECT_EQ((*store)->verify().code(), absl::StatusCode::kDataLoss);
}

TEST_F(StoreDamageTest, WhatWasSetAsideCanBeForgotten) {
  std::string setAside;
  auto store = Store::open(path_, setAside);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE((*store)->put("pod", "one", "bad").ok());
  ASSERT_TRUE((*store)->put("pod", "two", "good").ok());
  ASSERT_TRUE((*store)->setAside("pod", "one", "it does not parse").ok());
  ASSERT_EQ((*store)->damaged()->size(), 1u);
  ASSERT_TRUE((*store)->forgetDamaged().ok());
  EXPECT_TRUE((*store)->damaged()->empty());
  EXPECT_EQ((*store)->list("pod")->size(), 1u);
}

TEST_F(StoreDamageTest, AnEmptyFileIsAnEmptyDatabase) {
  std::ofstream(path_).flush();
  std::string setAside;
  auto store = Store::open(path_, setAside);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(setAside, "");
}

TEST_F(StoreDamageTest, AMissingDirectoryIsAnErrorNotDamage) {
  std::string setAside;
  const std::string path = directory_ / "none/berth.db";
  auto store = Store::open(path, setAside);
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(support::fromAbsl(store.status().message())), HasSubstr(path));
  EXPECT_EQ(setAside, "");
}

TEST_F(StoreDamageTest, ALockedDatabaseIsNotTakenForDamaged) {
  fill();
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(path_.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other,
                         "PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE; "
                         "DELETE FROM records WHERE id = 'pod-1'; COMMIT",
                         nullptr, nullptr, nullptr),
            SQLITE_OK);
  std::string setAside;
  auto store = Store::open(path_, setAside);
  EXPECT_EQ(store.status().code(), absl::StatusCode::kUnavailable) << store.status();
  EXPECT_EQ(setAside, "");
  sqlite3_close(other);
}

}  // namespace
}  // namespace berth::store
