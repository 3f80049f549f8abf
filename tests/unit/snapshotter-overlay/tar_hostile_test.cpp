// Archives that are cut off, damaged or written in bad faith.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::HasSubstr;

// An archive with everything that takes more than one block.
struct Sample {
  std::string bytes;
  std::vector<size_t> boundaries;  // where an entry ends and the archive may end too
};
Sample sample() {
  TarWriter writer;
  Sample result;
  const auto mark = [&] { result.boundaries.push_back(writer.bytes().size()); };
  mark();
  writer.file("plain", std::string(1300, 'p'));
  mark();
  writer.gnuLong('L', std::string(700, 'n')).file("x", "long");
  mark();
  writer.pax({{"path", std::string(900, 'q')}}).file("x", std::string(600, 'y'));
  mark();
  writer.pax({{"GNU.sparse.major", "1"},
              {"GNU.sparse.minor", "0"},
              {"GNU.sparse.name", "s"},
              {"GNU.sparse.realsize", "5000"}});
  writer.file("s", TarWriter::padded("2\n0\n2\n1000\n3\n") + "AABBB");
  mark();
  result.bytes = writer.bytes();
  return result;
}

TEST(TarHostile, CutOffAtEachBlock) {
  const Sample whole = sample();
  for (size_t size = 0; size <= whole.bytes.size(); size += 512) {
    const auto read = readAll(std::string_view(whole.bytes).substr(0, size), 4096);
    const auto boundary = std::find(whole.boundaries.begin(), whole.boundaries.end(), size);
    if (boundary != whole.boundaries.end()) {
      ASSERT_TRUE(read.ok()) << size << ": " << read.status();
      EXPECT_EQ(read->size(), static_cast<size_t>(boundary - whole.boundaries.begin()));
    } else {
      EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << size << ": " << read.status();
      EXPECT_THAT(read.status().message(), HasSubstr("offset")) << size;
    }
  }
}

TEST(TarHostile, EachDamagedByteIsNoticedOrHarmless) {
  const Sample whole = sample();
  for (size_t at = 0; at < whole.bytes.size(); at += 3) {
    std::string damaged = whole.bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
    // Must neither crash nor run on; sanitizers watch.
    const auto read = readAll(damaged, 999);
    if (!read.ok()) {
      EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << at << read.status();
    }
  }
}

TEST(TarHostile, RandomBytesAreNoArchive) {
  std::mt19937_64 random(42);
  for (int round = 0; round < 200; ++round) {
    std::string bytes(2048, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    EXPECT_TRUE(absl::IsInvalidArgument(readAll(bytes).status()));
  }
}

struct BadPax {
  std::string data;
  std::string message;
};
class BadPaxHeader : public testing::TestWithParam<BadPax> {};
TEST_P(BadPaxHeader, IsRefused) {
  TarWriter writer;
  writer.entry({.name = "pax", .type = 'x'}, GetParam().data).file("f", "x");
  const auto read = readAll(writer.finish());
  EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << read.status();
  EXPECT_THAT(read.status().message(), HasSubstr(GetParam().message));
}
INSTANTIATE_TEST_SUITE_P(
    Records, BadPaxHeader,
    testing::Values(BadPax{"x", "length"}, BadPax{"99 path=x\n", "length"},
                    BadPax{"3 x\n", "length"}, BadPax{"0 path=x\n", "length"},
                    BadPax{"999999999999999999999999 path=x\n", "length"},
                    BadPax{"10 path=xx", "length"}, BadPax{"7 path\n", "no name"},
                    BadPax{"6 =ab\n", "no name"},
                    BadPax{TarWriter::record("path", std::string("a\0b", 3)), "NUL"},
                    BadPax{TarWriter::record("linkpath", std::string("a\0b", 3)), "NUL"},
                    BadPax{TarWriter::record(std::string("a\0b", 3), "x"), "NUL"},
                    BadPax{TarWriter::record("size", "-1"), "number"},
                    BadPax{TarWriter::record("size", "9223372036854775808"), "number"},
                    BadPax{TarWriter::record("uid", "0x10"), "number"},
                    BadPax{TarWriter::record("mtime", "1.5x"), "time"},
                    BadPax{TarWriter::record("LIBARCHIVE.xattr.user.a", "?"), "base64"},
                    BadPax{TarWriter::record("GNU.sparse.map", "1,2,3"), "odd"},
                    BadPax{TarWriter::record("GNU.sparse.numbytes", "1"), "offset"},
                    BadPax{TarWriter::record("GNU.sparse.major", "2"), "unknown format"}));

TEST(TarHostile, HugeExtendedHeaderIsRefusedBeforeItIsRead) {
  for (const char type : {'x', 'g', 'L', 'K'}) {
    // No byte of the data is there: a reader that waits for it would say "cut off".
    const std::string archive =
        TarWriter::block({.name = "h", .type = type, .size = (1u << 20) + 1});
    const auto read = readAll(archive);
    EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << type;
    EXPECT_THAT(read.status().message(), HasSubstr("limit")) << type;
  }
}

TEST(TarHostile, GlobalHeadersShareOneLimit) {
  TarWriter writer;
  for (int i = 0; i < 3; ++i)
    writer.pax({{"SCHILY.xattr.user." + std::to_string(i), std::string(400000, 'x')}}, 'g');
  EXPECT_THAT(readAll(writer.finish()).status().message(), HasSubstr("limit"));
}

TEST(TarHostile, WhatGlobalHeadersSayOfEachEntryIsBounded) {
  std::string map;
  for (int i = 0; i < 1000; ++i) map += i == 0 ? "0,0" : ",0,0";
  const TarWriter::Records large[] = {{{"SCHILY.xattr.user.x", std::string(5000, 'x')}},
                                      {{"linkpath", std::string(5000, 'x')}},
                                      {{"GNU.sparse.map", map}, {"GNU.sparse.size", "0"}}};
  for (const TarWriter::Records& records : large) {
    const auto read = readAll(TarWriter().pax(records, 'g').file("f", "").finish());
    EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << read.status();
    EXPECT_THAT(read.status().message(), HasSubstr("of each entry"));
    EXPECT_TRUE(readAll(TarWriter().pax(records).file("f", "").finish()).ok());
  }
  const TarWriter::Records comment = {{"comment", std::string(5000, 'x')}};
  EXPECT_TRUE(readAll(TarWriter().pax(comment, 'g').file("f", "").finish()).ok());
}

TEST(TarHostile, BadNumbersAreRefused) {
  for (const size_t field : {100, 108, 116, 124, 136}) {
    std::string block = TarWriter::block({.name = "f"});
    block[field] = '9';
    TarWriter::seal(block);
    EXPECT_TRUE(absl::IsInvalidArgument(readAll(block).status())) << field;
  }
  // Negative sizes and ids, and sizes past 63 bits.
  for (const size_t field : {108, 116, 124}) {
    const size_t width = field == 124 ? 12 : 8;
    for (const char fill : {'\xff', '\x80'}) {
      std::string block = TarWriter::block({.name = "f"});
      block.replace(field, width, width, '\xff');
      block[field] = fill;
      TarWriter::seal(block);
      const bool fits = fill == '\x80' && width == 8;
      EXPECT_EQ(readAll(block).ok(), fits) << field;
    }
  }
}

TEST(TarHostile, NamelessAndGoingOnAfterTheEnd) {
  EXPECT_THAT(readAll(TarWriter::block({.name = ""})).status().message(), HasSubstr("no name"));
  const std::string header = TarWriter::block({.name = "f"});
  EXPECT_THAT(readAll(std::string(512, '\0') + header).status().message(), HasSubstr("zeros"));
}

TEST(TarHostile, TheArchivesSizeIsBounded) {
  const std::string archive = TarWriter().file("f", std::string(10000, 'x')).finish();
  untar::TarReader reader(piecesOf(archive, 512), {.archiveBytes = 5000});
  untar::Entry entry;
  ASSERT_TRUE(*reader.next(entry));
  EXPECT_TRUE(absl::IsResourceExhausted(reader.next(entry).status()));
}

}  // namespace
}  // namespace berth::test
