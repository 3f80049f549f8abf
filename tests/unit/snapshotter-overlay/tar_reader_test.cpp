#include "berth/untar/tar_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using untar::EntryType;
using untar::Xattr;

const std::string kGnuMagic("ustar  \0", 8);
const std::string kV7Magic(8, '\0');

TEST(TarReader, ReadsEachTypeOfUstar) {
  TarWriter writer;
  writer.directory("d/", 01777)
      .file("d/f", "content", 04755)
      .symlink("l", "../x")
      .hardLink("h", "d/f");
  writer.entry({.name = "c", .type = '3', .mode = 0600, .deviceMajor = 1, .deviceMinor = 3});
  writer.entry({.name = "b", .type = '4', .deviceMajor = 8, .deviceMinor = 65535});
  writer.entry({.name = "p", .type = '6', .uid = 1000, .gid = 100, .modified = 1234567890});
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_THAT(*read, SizeIs(7));
  const auto& entries = *read;
  EXPECT_EQ(entries[0].entry.type, EntryType::kDirectory);
  EXPECT_EQ(entries[0].entry.mode, 01777u);
  EXPECT_EQ(entries[1].entry.type, EntryType::kRegular);
  EXPECT_EQ(entries[1].entry.mode, 04755u);
  EXPECT_EQ(entries[1].data, "content");
  EXPECT_EQ(entries[1].entry.offset, 512u);
  EXPECT_EQ(entries[2].entry.type, EntryType::kSymlink);
  EXPECT_EQ(entries[2].entry.linkTarget, "../x");
  EXPECT_EQ(entries[3].entry.type, EntryType::kHardLink);
  EXPECT_EQ(entries[3].entry.linkTarget, "d/f");
  EXPECT_EQ(entries[4].entry.type, EntryType::kCharacterDevice);
  EXPECT_EQ(entries[4].entry.deviceMinor, 3u);
  EXPECT_EQ(entries[5].entry.type, EntryType::kBlockDevice);
  EXPECT_EQ(entries[5].entry.deviceMinor, 65535u);
  EXPECT_EQ(entries[6].entry.type, EntryType::kFifo);
  EXPECT_EQ(entries[6].entry.uid, 1000u);
  EXPECT_EQ(entries[6].entry.gid, 100u);
  EXPECT_EQ(entries[6].entry.modified.tv_sec, 1234567890);
}

TEST(TarReader, JoinsUstarPrefix) {
  TarWriter writer;
  writer.entry({.name = "leaf", .prefix = "some/folder"});
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).entry.name, "some/folder/leaf");
}

TEST(TarReader, ReadsV7AndItsDirectories) {
  TarWriter writer;
  writer.entry({.name = "dir/", .type = '\0', .magic = kV7Magic});
  writer.entry({.name = "file", .type = '\0', .magic = kV7Magic}, "x");
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).entry.type, EntryType::kDirectory);
  EXPECT_EQ(read->at(1).entry.type, EntryType::kRegular);
}

TEST(TarReader, ReadsGnuLongNamesAndBase256) {
  const std::string name(3000, 'n');
  const std::string target(2000, 't');
  TarWriter writer;
  writer.gnuLong('K', target).gnuLong('L', name);
  writer.entry({.name = "short",
                .type = '2',
                .uid = 4000000000u,
                .gid = 3000000000u,
                .modified = -5,
                .linkTarget = "short",
                .magic = kGnuMagic});
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  const untar::Entry& entry = read->at(0).entry;
  EXPECT_EQ(entry.name, name);
  EXPECT_EQ(entry.linkTarget, target);
  EXPECT_EQ(entry.uid, 4000000000u);
  EXPECT_EQ(entry.gid, 3000000000u);
  EXPECT_EQ(entry.modified.tv_sec, -5);
  EXPECT_EQ(entry.offset, 0u) << "where the first of its headers stands";
}

TEST(TarReader, ReadsPaxRecords) {
  TarWriter writer;
  writer.pax({{"path", "long/\xff\xfe/name"},
              {"linkpath", "a target"},
              {"uid", "4294967294"},
              {"gid", "70000"},
              {"mtime", "-1.25"},
              {"comment", "ignored"},
              {"SCHILY.xattr.user.b", std::string("\0\n=", 3)},
              {"SCHILY.xattr.user.empty", ""},
              {"LIBARCHIVE.xattr.user.b", "b3RoZXI="},
              {"LIBARCHIVE.xattr.user.a%20b", "dmFsdWU="}});
  writer.symlink("short", "short");
  writer.file("next", "n");
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  const untar::Entry& entry = read->at(0).entry;
  EXPECT_EQ(entry.name, "long/\xff\xfe/name");
  EXPECT_EQ(entry.linkTarget, "a target");
  EXPECT_EQ(entry.uid, 4294967294u);
  EXPECT_EQ(entry.gid, 70000u);
  EXPECT_EQ(entry.modified.tv_sec, -2);
  EXPECT_EQ(entry.modified.tv_nsec, 750000000);
  EXPECT_THAT(entry.xattrs,
              ElementsAre(Xattr{"user.a b", "value"}, Xattr{"user.b", std::string("\0\n=", 3)},
                          Xattr{"user.empty", ""}));
  EXPECT_EQ(read->at(1).entry.name, "next") << "records are about one entry alone";
  EXPECT_THAT(read->at(1).entry.xattrs, SizeIs(0));
}

TEST(TarReader, PaxSizeReplacesTheHeaders) {
  TarWriter writer;
  writer.pax({{"size", "5"}}).raw(TarWriter::block({.name = "f", .size = 0}));
  writer.raw(TarWriter::padded("12345")).file("g", "after");
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).data, "12345");
  EXPECT_EQ(read->at(1).data, "after");
}

TEST(TarReader, GlobalRecordsHoldUntilAnEntrysOwn) {
  TarWriter writer;
  writer.pax({{"uid", "7"}, {"SCHILY.xattr.user.g", "global"}}, 'g').file("one", "1");
  writer.pax({{"uid", "8"}}).file("two", "2");
  writer.pax({{"uid", ""}}).entry({.name = "three", .uid = 9});
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).entry.uid, 7u);
  EXPECT_EQ(read->at(1).entry.uid, 8u);
  EXPECT_EQ(read->at(2).entry.uid, 9u) << "an empty value takes the record back";
  EXPECT_THAT(read->at(1).entry.xattrs, ElementsAre(Xattr{"user.g", "global"}));
}

TEST(TarReader, AcceptsSignedChecksums) {
  TarWriter writer;
  writer.raw(TarWriter::block({.name = "caf\xe9"}, ChecksumKind::kSigned));
  const auto read = readAll(writer.finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).entry.name, "caf\xe9");
}

TEST(TarReader, SkipsDataThatNobodyAskedFor) {
  TarWriter writer;
  writer.file("big", std::string(100000, 'x')).file("small", "y");
  writer.raw(TarWriter::block({.name = "volume", .type = 'V', .magic = kGnuMagic}));
  const std::string archive = writer.finish();
  untar::TarReader reader(piecesOf(archive, 700));
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  ASSERT_TRUE(reader.nextData().ok());
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_EQ(entry.name, "small");
  EXPECT_FALSE(*reader.next(entry));
  EXPECT_EQ(reader.offset(), archive.size());
}

TEST(TarReader, AnyPieceSizeGivesTheSame) {
  TarWriter writer;
  writer.gnuLong('L', std::string(600, 'n')).file("f", std::string(1500, 'd'));
  writer.pax({{"path", "p"}}).file("f", "short");
  const std::string archive = writer.finish();
  for (const size_t size : {1, 7, 511, 512, 513, 1000, 4096}) {
    const auto read = readAll(archive, size);
    ASSERT_TRUE(read.ok()) << size << ": " << read.status();
    ASSERT_THAT(*read, SizeIs(2)) << size;
    EXPECT_EQ(read->at(0).data, std::string(1500, 'd')) << size;
    EXPECT_EQ(read->at(1).entry.name, "p") << size;
  }
}

TEST(TarReader, LendsTheSourcesOwnBytes) {
  const std::string data(2048, 'z');
  const std::string archive = TarWriter().file("f", data).finish();
  untar::TarReader reader(piecesOf(archive));
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  const auto piece = reader.nextData();
  ASSERT_TRUE(piece.ok());
  EXPECT_EQ(piece->bytes.data(), archive.data() + 512) << "data must not be copied";
  EXPECT_EQ(piece->bytes.size(), data.size());
}

TEST(TarReader, ReadsWhatFollowsTheEnd) {
  const std::string archive =
      TarWriter().file("f", "x").finish() + std::string(10240, '\0') + "any rubbish";
  untar::TarReader reader(piecesOf(archive, 333));
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  ASSERT_FALSE(*reader.next(entry));
  EXPECT_EQ(reader.offset(), archive.size()) << "a digest of the source must see every byte";
  EXPECT_FALSE(*reader.next(entry)) << "the end stays the end";
}

TEST(TarReader, AcceptsEachFormOfEnd) {
  const std::string entries = TarWriter().file("f", "x").bytes();
  for (const size_t zeros : {0, 512, 1024, 4096}) {
    const auto read = readAll(entries + std::string(zeros, '\0'));
    ASSERT_TRUE(read.ok()) << zeros << ": " << read.status();
    EXPECT_THAT(*read, SizeIs(1)) << zeros;
  }
  EXPECT_TRUE(readAll("").ok());
  // The source ends within the last entry's padding.
  EXPECT_TRUE(readAll(std::string_view(entries).substr(0, 700)).ok());
}

TEST(TarReader, HandsTheSourcesFailureOn) {
  int calls = 0;
  const std::string archive = TarWriter().file("f", std::string(2000, 'x')).finish();
  untar::TarReader reader([&](std::string_view& piece) -> absl::Status {
    if (++calls > 1) return absl::DataLossError("the digest is wrong");
    piece = std::string_view(archive).substr(0, 1024);
    return absl::OkStatus();
  });
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  const auto more = reader.next(entry);
  EXPECT_EQ(more.status(), absl::DataLossError("the digest is wrong"));
}

TEST(TarReader, NamesWhereAnErrorStands) {
  TarWriter writer;
  writer.file("good", "x");
  writer.entry({.name = "bad\nname", .type = 'Z'});
  const auto read = readAll(writer.finish());
  EXPECT_TRUE(absl::IsInvalidArgument(read.status()));
  EXPECT_THAT(read.status().message(), HasSubstr("bad\\nname"));
  EXPECT_THAT(read.status().message(), HasSubstr("offset 1024"));
}

}  // namespace
}  // namespace berth::test
