// What can be read of a damaged database goes on in the one that takes its place.
#include "store/salvage.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "../support/temporary_directory.hpp"
#include "berth/support/status.hpp"
#include "store/parts.hpp"
#include "store/store.hpp"

namespace berth::store {
namespace {

using ::testing::StartsWith;
using testing::TemporaryDirectory;

namespace fs = std::filesystem;

constexpr size_t kPage = 4096;
constexpr size_t kRoot = 2;
constexpr int kInterior = 2;  // first bytes of pages (SQLite documentation, "Database File Format")
constexpr int kLeaf = 10;
constexpr int kCount = 300;

class SalvageTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / "berth.db";
  std::string setAside_;

  std::unique_ptr<Store> open() {
    auto store = Store::open(path_, setAside_);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }
  static std::string valueOf(int number, size_t size) {
    return support::strCat(number) + std::string(size, 'x');
  }
  void fill(size_t size = 400) {
    const auto store = open();
    for (int i = 0; i < kCount; ++i) {
      const std::string_view kind = i % 2 == 0 ? "pod" : "container";
      ASSERT_TRUE(store->put(kind, support::strCat("id-", i), valueOf(i, size)).ok());
    }
  }
  std::string bytes() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // From 1 on.
  static std::string page(const std::string& all, size_t number) {
    return all.substr((number - 1) * kPage, kPage);
  }
  static size_t number(const std::string& page, size_t at, size_t width) {
    size_t value = 0;
    for (size_t i = at; i < at + width; ++i)
      value = value << 8 | static_cast<unsigned char>(page[i]);
    return value;
  }
  static std::vector<size_t> below(const std::string& page) {
    std::vector<size_t> children;
    if (page[0] == kLeaf) return children;
    for (size_t i = 0; i < number(page, 3, 2); ++i)
      children.push_back(number(page, number(page, 12 + 2 * i, 2), 4));
    children.push_back(number(page, 8, 4));
    return children;
  }
  // Of the page and of those below it.
  static size_t records(const std::string& all, size_t at) {
    size_t count = number(page(all, at), 3, 2);
    for (const size_t child : below(page(all, at))) count += records(all, child);
    return count;
  }
  size_t records(size_t at) const { return records(bytes(), at); }
  // In the order of keys.
  static void addLeaves(const std::string& all, size_t at, std::vector<size_t>& leaves) {
    if (page(all, at)[0] == kLeaf) leaves.push_back(at);
    for (const size_t child : below(page(all, at))) addLeaves(all, child, leaves);
  }
  std::vector<size_t> leaves() const {
    std::vector<size_t> found;
    addLeaves(bytes(), kRoot, found);
    return found;
  }
  size_t leafInTheMiddle() const { return leaves()[leaves().size() / 2]; }
  void overwrite(size_t at, size_t length) {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(length, '\x5a');
  }
  void spoil(size_t page) { overwrite((page - 1) * kPage, kPage); }

  static size_t countSound(Store& store, size_t size = 400) {
    size_t sound = 0;
    for (const std::string_view kind : {"pod", "container"}) {
      EXPECT_TRUE(store
                      .each(kind,
                            [&](const Entry& entry) {
                              const int number = std::stoi(entry.id.substr(3));
                              sound += entry.value == valueOf(number, size) ? 1 : 0;
                            })
                      .ok());
    }
    return sound;
  }
  void expectKept(size_t count, size_t size = 400) {
    auto store = open();
    ASSERT_TRUE(store);
    EXPECT_THAT(setAside_, StartsWith(path_ + ".damaged-"));
    EXPECT_TRUE(fs::exists(setAside_));
    EXPECT_EQ(countSound(*store, size), count);
    ASSERT_TRUE(store->put("pod", "new", "works").ok());
    store.reset();
    store = open();
    EXPECT_EQ(setAside_, "") << "the next start finds nothing damaged";
    EXPECT_EQ(*store->get("pod", "new"), "works");
    for (const auto& file : fs::directory_iterator(directory_.path())) {
      const std::string name = file.path().filename();
      EXPECT_FALSE(name.ends_with(".new") || name.ends_with(".salvaged")) << name;
    }
  }
};

TEST_F(SalvageTest, ABadPageCostsItsRecordsAlone) {
  fill();
  const size_t bad = leafInTheMiddle();
  const size_t lost = records(bad);
  ASSERT_GT(lost, 0u);
  spoil(bad);
  expectKept(kCount - lost);
}

TEST_F(SalvageTest, WhatLiesBetweenBadPagesIsFound) {
  fill();
  size_t lost = 0;
  std::vector<size_t> bad;
  const std::vector<size_t> all = leaves();
  for (size_t i = 0; i < all.size(); i += 5) bad.push_back(all[i]);
  ASSERT_GT(bad.size(), 4u);
  for (const size_t each : bad) lost += records(each);
  for (const size_t each : bad) spoil(each);
  expectKept(kCount - lost);
}

TEST_F(SalvageTest, APageOfTheTreeCostsWhatIsBelowIt) {
  fill();
  const size_t bad = below(page(bytes(), kRoot)).front();
  ASSERT_EQ(page(bytes(), bad)[0], kInterior);
  const size_t lost = records(bad);
  ASSERT_LT(lost, size_t{kCount} / 2);
  spoil(bad);
  expectKept(kCount - lost);
}

TEST_F(SalvageTest, AValueThatCannotBeReadCostsItsRecordAlone) {
  constexpr size_t kSize = 9000;
  fill(kSize);
  const std::string all = bytes();
  const size_t count = number(all, 28, 4);
  size_t met = 0;
  size_t lost = 0;
  for (size_t i = kRoot + 1; i <= count; ++i) {
    // A page of a value's own, which leads to another one.
    if (page(all, i).substr(4, 4) != "xxxx" || number(page(all, i), 0, 4) == 0) continue;
    if (met++ % 7 != 0) continue;
    spoil(i);
    ++lost;
  }
  ASSERT_GT(lost, 20u);
  expectKept(kCount - lost, kSize);
}

TEST_F(SalvageTest, WhatWasErasedStaysSo) {
  fill();
  {
    const auto store = open();
    for (int i = 0; i < 200; ++i) {
      const std::string_view kind = i % 2 == 0 ? "pod" : "container";
      ASSERT_TRUE(store->erase(kind, support::strCat("id-", i)).ok());
    }
  }
  ASSERT_NE(number(bytes(), 36, 4), 0u) << "pages are free";
  overwrite(32, 8);
  expectKept(100);
}

TEST_F(SalvageTest, ADatabaseThatWasCutOffIsReadAsFarAsItGoes) {
  fill();
  fs::resize_file(path_, number(bytes(), 28, 4) / 2 * kPage);
  const auto store = open();
  EXPECT_THAT(setAside_, StartsWith(path_ + ".damaged-"));
  EXPECT_GT(countSound(*store), 20u);
}

TEST_F(SalvageTest, WithoutASchemaNothingIsKept) {
  fill();
  overwrite(100, 4000);
  expectKept(0);
}

// As a daemon that is killed leaves them.
TEST_F(SalvageTest, TheLogIsRead) {
  fill();
  const std::string copy = directory_ / "copy";
  {
    const auto store = open();
    ASSERT_TRUE(store->put("container", "id-1", "in the log alone").ok());
    fs::create_directory(copy);
    for (const char* suffix : {"", "-wal"}) fs::copy_file(path_ + suffix, copy + "/db" + suffix);
  }
  const size_t bad = leafInTheMiddle();
  for (const char* suffix : {"", "-wal"}) {
    fs::copy_file(copy + "/db" + suffix, path_ + suffix, fs::copy_options::overwrite_existing);
  }
  fs::remove(path_ + "-shm");
  const size_t lost = records(bad);
  spoil(bad);
  // With the log as it is: whoever opens the database first empties it.
  ASSERT_TRUE(salvage(path_).ok());
  const auto store = open();
  EXPECT_EQ(countSound(*store), kCount - lost - 1);
  EXPECT_EQ(*store->get("container", "id-1"), "in the log alone");
  EXPECT_GT(fs::file_size(setAside_ + "-wal"), 0u) << "it is kept with its database";
}

TEST_F(SalvageTest, OneThatIsCutOffIsDoneAgain) {
  fill();
  const size_t bad = leafInTheMiddle();
  const size_t lost = records(bad);
  spoil(bad);
  std::ofstream(path_ + ".new") << "half of it";
  expectKept(kCount - lost);
}

TEST_F(SalvageTest, AReplacementThatIsCutOffIsEnded) {
  fill();
  const size_t bad = leafInTheMiddle();
  const size_t lost = records(bad);
  spoil(bad);
  const fs::path kept = directory_ / "kept";
  fs::copy_file(path_, kept);
  // After none, one, … of the renames.
  const std::vector<std::string> order = {"-wal", "-shm", ""};
  for (size_t done = 0; done <= order.size(); ++done) {
    ASSERT_TRUE(salvage(path_).ok());
    const std::string aside = path_ + ".earlier";
    for (size_t i = 0; i < done; ++i) fs::rename(path_ + order[i], aside + order[i]);
    const auto store = open();
    EXPECT_THAT(setAside_, StartsWith(path_ + ".damaged-")) << done;
    EXPECT_EQ(countSound(*store), kCount - lost) << done;
    for (const std::string& suffix : order) fs::remove(path_ + suffix);
    fs::copy_file(kept, path_);
  }
}

TEST(DamageTest, IsWhatTheDiskCannotGiveBack) {
  for (const int code : {SQLITE_CORRUPT, SQLITE_CORRUPT_INDEX, SQLITE_NOTADB, SQLITE_IOERR_READ,
                         SQLITE_IOERR_SHORT_READ, SQLITE_IOERR_CORRUPTFS}) {
    EXPECT_TRUE(isDamage(code)) << code;
  }
  for (const int code : {SQLITE_OK, SQLITE_BUSY, SQLITE_NOMEM, SQLITE_FULL, SQLITE_CANTOPEN,
                         SQLITE_IOERR, SQLITE_IOERR_NOMEM, SQLITE_IOERR_SHMSIZE, SQLITE_IOERR_WRITE,
                         SQLITE_IOERR_FSYNC, SQLITE_IOERR_LOCK}) {
    EXPECT_FALSE(isDamage(code)) << code;
  }
}

}  // namespace
}  // namespace berth::store
