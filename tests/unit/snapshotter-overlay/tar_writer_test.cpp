#include "berth/untar/tar_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar_writer.hpp"

namespace berth::untar {
namespace {

struct Archive {
  std::string bytes;
  TarWriter writer{[this](std::string_view piece) {
    bytes += piece;
    return absl::OkStatus();
  }};
};

std::vector<test::ReadEntry> read(const std::string& archive) {
  auto entries = test::readAll(archive);
  EXPECT_TRUE(entries.ok()) << entries.status();
  return entries.ok() ? *std::move(entries) : std::vector<test::ReadEntry>();
}

TEST(TarWriter, EachKindComesBackAsItWas) {
  const std::vector<Entry> given = {
      {.type = EntryType::kDirectory, .name = "etc/", .mode = 0755, .uid = 1, .gid = 2},
      {.type = EntryType::kSymlink, .name = "etc/link", .linkTarget = "../to", .mode = 0777},
      {.type = EntryType::kHardLink, .name = "etc/hard", .linkTarget = "etc/first"},
      {.type = EntryType::kCharacterDevice,
       .name = "dev/null",
       .mode = 0666,
       .deviceMajor = 1,
       .deviceMinor = 3},
      {.type = EntryType::kBlockDevice, .name = "dev/b", .deviceMajor = 259, .deviceMinor = 70000},
      {.type = EntryType::kFifo, .name = "fifo", .mode = 0600},
      {.name = "set", .mode = 04755, .modified = {.tv_sec = 1'700'000'000, .tv_nsec = 0}},
  };
  Archive archive;
  for (const Entry& entry : given) ASSERT_TRUE(archive.writer.add(entry).ok());
  ASSERT_TRUE(archive.writer.finish().ok());
  EXPECT_EQ(archive.bytes.size() % 512, 0u);
  EXPECT_EQ(archive.writer.written(), archive.bytes.size());
  const auto entries = read(archive.bytes);
  ASSERT_EQ(entries.size(), given.size());
  for (size_t i = 0; i < given.size(); ++i) {
    const Entry& entry = entries[i].entry;
    EXPECT_EQ(entry.type, given[i].type) << given[i].name;
    EXPECT_EQ(entry.name, given[i].name);
    EXPECT_EQ(entry.linkTarget, given[i].linkTarget);
    EXPECT_EQ(entry.mode, given[i].mode);
    EXPECT_EQ(entry.uid, given[i].uid);
    EXPECT_EQ(entry.gid, given[i].gid);
    EXPECT_EQ(entry.deviceMajor, given[i].deviceMajor);
    EXPECT_EQ(entry.deviceMinor, given[i].deviceMinor);
    EXPECT_EQ(entry.modified.tv_sec, given[i].modified.tv_sec);
  }
}

TEST(TarWriter, WhatTheOlderFormCannotHoldIsKept) {
  const std::string longName = std::string(90, 'd') + "/" + std::string(200, 'n');
  const std::string longLink(150, 'l');
  const std::vector<Xattr> xattrs = {{"security.capability", std::string("\1\0\n=", 4)},
                                     {"user.note", "n"}};
  Archive archive;
  ASSERT_TRUE(archive.writer.comment("a comment").ok());
  ASSERT_TRUE(archive.writer
                  .add({.name = longName,
                        .size = 3,
                        .uid = 4'000'000'000,
                        .gid = 3'000'000'000,
                        .modified = {.tv_sec = -2, .tv_nsec = 250'000'000},
                        .xattrs = xattrs})
                  .ok());
  ASSERT_TRUE(archive.writer.data("abc").ok());
  ASSERT_TRUE(
      archive.writer.add({.type = EntryType::kSymlink, .name = "l", .linkTarget = longLink}).ok());
  ASSERT_TRUE(archive.writer.finish().ok());
  const auto entries = read(archive.bytes);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].entry.name, longName);
  EXPECT_EQ(entries[0].data, "abc");
  EXPECT_EQ(entries[0].entry.uid, 4'000'000'000u);
  EXPECT_EQ(entries[0].entry.gid, 3'000'000'000u);
  EXPECT_EQ(entries[0].entry.modified.tv_sec, -2);
  EXPECT_EQ(entries[0].entry.modified.tv_nsec, 250'000'000);
  EXPECT_EQ(entries[0].entry.xattrs, xattrs);
  EXPECT_EQ(entries[1].entry.linkTarget, longLink);
}

TEST(TarWriter, HolesComeBackAsHoles) {
  Archive archive;
  ASSERT_TRUE(archive.writer
                  .addSparse({.name = "holes", .size = 1u << 30},
                             {{.position = 4096, .size = 3}, {.position = 1u << 20, .size = 600}})
                  .ok());
  ASSERT_TRUE(archive.writer.data("abc").ok());
  ASSERT_TRUE(archive.writer.data(std::string(600, 'x')).ok());
  ASSERT_TRUE(archive.writer.addSparse({.name = "only a hole", .size = 5000}, {}).ok());
  ASSERT_TRUE(archive.writer.add({.name = "next", .size = 1}).ok());
  ASSERT_TRUE(archive.writer.data("n").ok());
  ASSERT_TRUE(archive.writer.finish().ok());
  EXPECT_LT(archive.bytes.size(), 16'384u);

  TarReader reader(test::piecesOf(archive.bytes));
  Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.name, "holes");
  EXPECT_EQ(entry.size, 1u << 30);
  EXPECT_TRUE(entry.sparse);
  auto piece = reader.nextData();
  ASSERT_TRUE(piece.ok()) << piece.status();
  EXPECT_EQ(piece->position, 4096u);
  EXPECT_EQ(piece->bytes, "abc");
  piece = reader.nextData();
  ASSERT_TRUE(piece.ok()) << piece.status();
  EXPECT_EQ(piece->position, 1u << 20);
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.name, "only a hole");
  EXPECT_EQ(entry.size, 5000u);
  EXPECT_TRUE(reader.nextData()->bytes.empty());
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(reader.nextData()->bytes, "n");
}

TEST(TarWriter, HoldsItsUserToTheSize) {
  Archive archive;
  ASSERT_TRUE(archive.writer.add({.name = "a", .size = 2}).ok());
  EXPECT_EQ(archive.writer.finish().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(archive.writer.data("abc").code(), absl::StatusCode::kInternal);
}

TEST(TarWriter, HandsFailuresOn) {
  TarWriter writer([](std::string_view) { return absl::ResourceExhaustedError("full"); });
  EXPECT_EQ(writer.add({.name = "a"}), absl::ResourceExhaustedError("full"));
}

}  // namespace
}  // namespace berth::untar
