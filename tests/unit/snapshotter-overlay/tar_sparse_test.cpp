// Sparse files in each of the formats that GNU tar has written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tar_writer.hpp"

namespace berth::test {
namespace {

using testing::HasSubstr;

const std::string kGnuMagic("ustar  \0", 8);

// "AA", a hole, "BBB", a hole up to 5,000.
const std::string kContent = "AA" + std::string(998, '\0') + "BBB" + std::string(5000 - 1003, '\0');

void putOldGnuChunk(std::string& block, size_t at, int64_t offset, int64_t size) {
  block.replace(at, 11, TarWriter::number(offset, 12));
  block.replace(at + 12, 11, TarWriter::number(size, 12));
}

std::string oldGnuHeader(uint64_t stored, int64_t realSize) {
  std::string block =
      TarWriter::block({.name = "sparse", .type = 'S', .size = stored, .magic = kGnuMagic});
  block.replace(483, 11, TarWriter::number(realSize, 12));
  return block;
}

void expectContent(const std::string& archive) {
  const auto read = readAll(archive, 600);
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->at(0).entry.name, "sparse");
  EXPECT_TRUE(read->at(0).entry.sparse);
  EXPECT_EQ(read->at(0).entry.size, 5000u);
  EXPECT_EQ(read->at(0).data, kContent);
  EXPECT_EQ(read->at(1).data, "after");
}

TEST(TarSparse, OldGnu) {
  std::string block = oldGnuHeader(5, 5000);
  putOldGnuChunk(block, 386, 0, 2);
  putOldGnuChunk(block, 410, 1000, 3);
  putOldGnuChunk(block, 434, 5000, 0);
  TarWriter::seal(block);
  expectContent(TarWriter().raw(block).raw(TarWriter::padded("AABBB")).file("g", "after").finish());
}

TEST(TarSparse, OldGnuWithExtensions) {
  constexpr int kChunks = 4 + 21 + 5;
  std::string data;
  std::string content;
  std::string block = oldGnuHeader(kChunks, int64_t{kChunks} * 100);
  std::string extensions(1024, '\0');
  for (int i = 0; i < kChunks; ++i) {
    const char letter = static_cast<char>('a' + i % 26);
    const int64_t position = int64_t{i} * 100;
    data.push_back(letter);
    content += letter + std::string(99, '\0');
    if (i < 4)
      putOldGnuChunk(block, 386 + static_cast<size_t>(i) * 24, position, 1);
    else if (i < 25)
      putOldGnuChunk(extensions, static_cast<size_t>(i - 4) * 24, position, 1);
    else
      putOldGnuChunk(extensions, 512 + static_cast<size_t>(i - 25) * 24, position, 1);
  }
  block[482] = 1;
  extensions[504] = 1;
  TarWriter::seal(block);
  const auto read =
      readAll(TarWriter().raw(block).raw(extensions).raw(TarWriter::padded(data)).finish());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).data, content);
}

TEST(TarSparse, Pax00) {
  TarWriter writer;
  writer.pax({{"GNU.sparse.size", "5000"},
              {"GNU.sparse.numblocks", "2"},
              {"GNU.sparse.offset", "0"},
              {"GNU.sparse.numbytes", "2"},
              {"GNU.sparse.offset", "1000"},
              {"GNU.sparse.numbytes", "3"}});
  expectContent(writer.file("sparse", "AABBB").file("g", "after").finish());
}

TEST(TarSparse, Pax01) {
  TarWriter writer;
  writer.pax({{"GNU.sparse.size", "5000"},
              {"GNU.sparse.numblocks", "2"},
              {"GNU.sparse.map", "0,2,1000,3"},
              {"GNU.sparse.name", "sparse"}});
  expectContent(writer.file("GNUSparseFile.1/sparse", "AABBB").file("g", "after").finish());
}

TarWriter pax10(const std::string& map, const std::string& data) {
  TarWriter writer;
  writer.pax({{"GNU.sparse.major", "1"},
              {"GNU.sparse.minor", "0"},
              {"GNU.sparse.name", "sparse"},
              {"GNU.sparse.realsize", "5000"}});
  writer.file("GNUSparseFile.1/sparse", TarWriter::padded(map) + data);
  return writer;
}

TEST(TarSparse, Pax10) {
  expectContent(pax10("2\n0\n2\n1000\n3\n", "AABBB").file("g", "after").finish());
}

TEST(TarSparse, Pax10MapOfSeveralBlocks) {
  std::string map = "300\n";
  std::string content;
  for (int i = 0; i < 300; ++i) {
    map += std::to_string(i * 10) + "\n1\n";
    content += "x" + std::string(9, '\0');
  }
  content.resize(5000, '\0');
  const auto read = readAll(pax10(map, std::string(300, 'x')).finish(), 100);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->at(0).data, content);
}

struct BadMap {
  std::string map;
  std::string message;
};
class BadSparse : public testing::TestWithParam<BadMap> {};
TEST_P(BadSparse, IsRefused) {
  const auto read = readAll(pax10(GetParam().map, "AABBB").finish());
  EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << read.status();
  EXPECT_THAT(read.status().message(), HasSubstr(GetParam().message));
  EXPECT_THAT(read.status().message(), HasSubstr("\"sparse\""));
}
INSTANTIATE_TEST_SUITE_P(
    Maps, BadSparse,
    testing::Values(BadMap{"2\n1000\n3\n0\n2\n", "out of order"},
                    BadMap{"2\n0\n2\n1\n3\n", "out of order"},
                    BadMap{"2\n0\n2\n4998\n3\n", "past the end"},
                    BadMap{"1\n0\n2\n", "covers 2 bytes"},
                    BadMap{"1\n9223372036854775807\n9223372036854775807\n", "past the end"},
                    BadMap{"99999999999\n", "more than"}, BadMap{"-1\n", "number"},
                    BadMap{"1\n0\nx\n", "number"}, BadMap{std::string(512, '7'), "too long"},
                    BadMap{"3\n0\n2\n", "number"}));

TEST(TarSparse, OldGnuEmptyExtensionsEnd) {
  std::string block = oldGnuHeader(0, 10);
  block[482] = 1;
  TarWriter::seal(block);
  std::string extension(512, '\0');
  extension[504] = 1;
  TarWriter writer;
  writer.raw(block).raw(extension).raw(extension);
  EXPECT_TRUE(absl::IsInvalidArgument(readAll(writer.finish()).status()));
}

}  // namespace
}  // namespace berth::test
