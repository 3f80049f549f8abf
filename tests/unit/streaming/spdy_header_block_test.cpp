#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_vectors.hpp"
#include "streaming/spdy/dictionary.hpp"
#include "streaming/spdy/header_block.hpp"

namespace berth::streaming::spdy {
namespace {

using testing::HasSubstr;

constexpr size_t kEnough = 1u << 20;

std::vector<uint8_t> block(const Headers& headers) {
  std::vector<uint8_t> bytes;
  appendHeaderBlock(bytes, headers);
  return bytes;
}

// The header block in a frame of the Go library's; `fixed` bytes stand before it.
std::vector<uint8_t> compressedIn(std::string_view frame, size_t fixed) {
  const auto bytes = hex(frame);
  return {bytes.begin() + static_cast<std::ptrdiff_t>(kHeaderSize + fixed), bytes.end()};
}

// Any zlib stream over this dictionary names it by this checksum (RFC 1950); it stands in the first
// frame that the Go library wrote, too.
TEST(SpdyDictionaryTest, IsTheOneOfTheSpecification) {
  const auto& dictionary = headerDictionary();
  EXPECT_EQ(dictionary.size(), 1423u);
  EXPECT_EQ(
      adler32(adler32(0, nullptr, 0), dictionary.data(), static_cast<uInt>(dictionary.size())),
      0xe3c6a7c2u);
}

TEST(SpdyHeaderBlockTest, PlainLayout) {
  const auto bytes = block({{"port", "80"}, {"streamtype", ""}});
  EXPECT_EQ(bytes, hex("00000002"
                       "00000004 706f7274 00000002 3830"
                       "0000000a 73747265616d74797065 00000000"));
  const auto headers = parseHeaderBlock(bytes, 2);
  ASSERT_TRUE(headers.ok()) << headers.status();
  EXPECT_EQ(*headers, (Headers{{"port", "80"}, {"streamtype", ""}}));
}

TEST(SpdyHeaderBlockTest, WhatTheGoLibraryCompressesIsReadFrameAfterFrame) {
  HeaderInflater inflater;
  const auto read = [&](std::string_view frame, size_t fixed) {
    const auto plain = inflater.inflate(compressedIn(frame, fixed), kEnough);
    EXPECT_TRUE(plain.ok()) << plain.status();
    const auto headers = parseHeaderBlock(plain.value_or(std::vector<uint8_t>()), 64);
    EXPECT_TRUE(headers.ok()) << headers.status();
    return headers.value_or(Headers());
  };
  EXPECT_EQ(read(moby::kSynError, 10), (Headers{{"streamtype", "error"}}));
  EXPECT_EQ(read(moby::kSynStdin, 10), (Headers{{"streamtype", "stdin"}}));
  EXPECT_EQ(read(moby::kSynStdout, 10), (Headers{{"streamtype", "stdout"}}));
  EXPECT_EQ(read(moby::kSynForward, 10),
            (Headers{{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}}));
  EXPECT_EQ(read(moby::kSynTwoValues, 10), (Headers{{"x", std::string("one\0two", 7)}}));
  EXPECT_EQ(read(moby::kReply, 4), Headers());
  EXPECT_EQ(read(moby::kHeaders, 4), (Headers{{"late", "yes"}}));
}

TEST(SpdyHeaderBlockTest, ASkippedBlockCannotBeMadeUpFor) {
  HeaderInflater inflater;
  ASSERT_TRUE(inflater.inflate(compressedIn(moby::kSynError, 10), kEnough).ok());
  // kSynStdin is left out.
  const auto plain = inflater.inflate(compressedIn(moby::kSynForward, 10), kEnough);
  EXPECT_TRUE(!plain.ok() || !parseHeaderBlock(*plain, 64).ok() ||
              *parseHeaderBlock(*plain, 64) !=
                  (Headers{{"streamtype", "data"}, {"port", "8080"}, {"requestid", "0"}}));
}

TEST(SpdyHeaderBlockTest, CompressionGoesOnFromBlockToBlock) {
  HeaderDeflater deflater;
  HeaderInflater inflater;
  const auto headers = block({{"streamtype", "stdout"}, {"user-agent", "a long value, once"}});
  size_t first = 0;
  for (int round = 0; round < 100; ++round) {
    const auto compressed = deflater.deflate(headers);
    ASSERT_TRUE(compressed.ok()) << compressed.status();
    if (round == 0) first = compressed->size();
    if (round == 1) {
      EXPECT_LT(compressed->size(), first / 2);
    }
    const auto plain = inflater.inflate(*compressed, headers.size());
    ASSERT_TRUE(plain.ok()) << plain.status();
    ASSERT_EQ(*plain, headers);
  }
}

TEST(SpdyHeaderBlockTest, ABombIsRefusedAtItsLimit) {
  HeaderDeflater deflater;
  const auto bomb = deflater.deflate(std::vector<uint8_t>(8u << 20, 'a'));
  ASSERT_TRUE(bomb.ok());
  EXPECT_LT(bomb->size(), 64u << 10);
  HeaderInflater inflater;
  const auto plain = inflater.inflate(*bomb, 32u << 10);
  EXPECT_EQ(plain.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(plain.status().ToString(), HasSubstr("longer than 32768 bytes"));
}

TEST(SpdyHeaderBlockTest, TheLimitItselfIsAllowed) {
  for (const size_t size : {4095u, 4096u, 4097u, 8192u}) {
    HeaderDeflater deflater;
    const auto compressed = deflater.deflate(std::vector<uint8_t>(size, 'a'));
    HeaderInflater inflater;
    const auto plain = inflater.inflate(*compressed, size);
    ASSERT_TRUE(plain.ok()) << size << ": " << plain.status();
    EXPECT_EQ(plain->size(), size);
    HeaderInflater stricter;
    EXPECT_FALSE(stricter.inflate(*compressed, size - 1).ok()) << size;
  }
}

TEST(SpdyHeaderBlockTest, DamagedCompressionIsRefused) {
  HeaderInflater garbage;
  EXPECT_EQ(garbage.inflate(hex("deadbeef"), kEnough).status().code(),
            absl::StatusCode::kInvalidArgument);
  HeaderInflater otherDictionary;
  const auto refused = otherDictionary.inflate(hex("78f9 00000001 6260606000000000ffff"), kEnough);
  EXPECT_THAT(refused.status().ToString(), HasSubstr("dictionary that is not SPDY/3's"));
  // A zlib stream that is finished cannot be followed by more frames.
  HeaderInflater finished;
  EXPECT_EQ(finished.inflate(hex("789c63606060000000040001"), kEnough).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(SpdyHeaderBlockTest, RulesOfNamesAndValues) {
  const std::string_view wrong[] = {
      "",                                                          // no number
      "00000001",                                                  // no header
      "00000001 00000001",                                         // no name
      "00000001 00000001 61 00000002 62",                          // half a value
      "00000001 ffffffff 61 00000001 62",                          // a name longer than everything
      "00000001 00000000 00000001 62",                             // an empty name
      "00000001 00000001 41 00000001 62",                          // an upper-case name
      "00000001 00000002 6100 00000001 62",                        // a NUL in a name
      "00000001 00000001 e4 00000001 62",                          // a name that is not ASCII
      "00000002 00000001 61 00000001 62 00000001 61 00000001 63",  // twice the same
      "00000001 00000001 61 00000002 6200",                        // an empty value behind another
      "00000001 00000001 61 00000002 0062",                        // before
      "00000001 00000001 61 00000004 62000063",                    // between
      "00000000 00",                                               // something behind
      "ffffffff",                                                  // four billion headers
  };
  for (const std::string_view text : wrong) {
    EXPECT_EQ(parseHeaderBlock(hex(text), 64).status().code(), absl::StatusCode::kInvalidArgument)
        << text;
  }
  EXPECT_TRUE(parseHeaderBlock(block({{"a", "1"}, {"b", "2"}}), 2).ok());
  EXPECT_FALSE(parseHeaderBlock(block({{"a", "1"}, {"b", "2"}}), 1).ok());
}

}  // namespace
}  // namespace berth::streaming::spdy
