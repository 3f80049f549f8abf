#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "spdy_vectors.hpp"
#include "streaming/spdy/frame_splitter.hpp"

namespace berth::streaming::spdy {
namespace {

using testing::ElementsAre;

// What came out, one line for each control frame and each whole data frame.
class Reader {
 public:
  explicit Reader(size_t buffer = 4096, uint32_t maxControl = 1024)
      : splitter(buffer, maxControl) {}

  // Gives the bytes in portions of `step` and takes what there is after each.
  absl::Status give(const std::vector<uint8_t>& bytes, size_t step) {
    std::span<const uint8_t> left(bytes);
    while (!left.empty()) {
      const std::span<uint8_t> space = splitter.space();
      EXPECT_FALSE(space.empty());
      const size_t size = std::min({step, left.size(), space.size()});
      std::copy_n(left.begin(), size, space.begin());
      splitter.filled(size);
      left = left.subspan(size);
      for (;;) {
        const auto item = splitter.next();
        if (!item.ok()) return item.status();
        if (std::holds_alternative<FrameSplitter::Incomplete>(*item)) break;
        note(*item);
      }
    }
    return absl::OkStatus();
  }

  FrameSplitter splitter;
  std::vector<std::string> seen;

 private:
  void note(const FrameSplitter::Item& item) {
    if (const auto* control = std::get_if<FrameSplitter::Control>(&item)) {
      seen.push_back(support::strCat(name(control->header.type), " ", control->payload.size()));
      return;
    }
    const auto& data = std::get<FrameSplitter::Data>(item);
    text_.append(data.bytes.begin(), data.bytes.end());
    if (data.last) {
      seen.push_back(support::strCat(data.streamId, ":", text_, data.fin ? " FIN" : ""));
      text_.clear();
    }
    splitter.taken(data.bytes.size());
  }
  std::string text_;
};

std::vector<uint8_t> conversation() {
  std::vector<uint8_t> bytes = hex(moby::kSynError);
  bytes += hex(moby::kData);
  bytes += hex("8003 000a 00 000005 0102030405");  // CREDENTIAL, which nobody speaks
  bytes += hex("00000005 00 000000");              // no data
  bytes += hex(moby::kPing);
  bytes += hex("8003 ffff 00 000000");
  bytes += hex(moby::kDataFin);
  return bytes;
}

TEST(SpdySplitterTest, FramesComeWholeHoweverTheBytesCome) {
  const auto bytes = conversation();
  for (size_t step = 1; step <= bytes.size(); ++step) {
    Reader reader;
    ASSERT_TRUE(reader.give(bytes, step).ok());
    EXPECT_THAT(reader.seen, ElementsAre("SYN_STREAM 41", "3:hello", "5:", "PING 4", "3: FIN"))
        << step;
    EXPECT_TRUE(reader.splitter.betweenFrames());
  }
}

TEST(SpdySplitterTest, KnowsWhetherAFrameIsIncomplete) {
  const auto bytes = conversation();
  const size_t ends[] = {49, 62, 75, 83, 95, 103, 111};
  for (size_t size = 1; size <= bytes.size(); ++size) {
    Reader reader;
    ASSERT_TRUE(reader.give({bytes.begin(), bytes.begin() + size}, 7).ok());
    EXPECT_EQ(reader.splitter.betweenFrames(), std::ranges::count(ends, size) == 1) << size;
  }
}

TEST(SpdySplitterTest, DataFramesLongerThanTheBufferComeInPieces) {
  std::vector<uint8_t> bytes = hex("00000001 01 030000");
  bytes.resize(bytes.size() + (3u << 16), 'x');
  bytes += hex(moby::kPing);
  Reader reader(64, 32);
  ASSERT_TRUE(reader.give(bytes, 64).ok());
  EXPECT_THAT(reader.seen,
              ElementsAre(support::strCat("1:", std::string(3u << 16, 'x'), " FIN"), "PING 4"));
}

TEST(SpdySplitterTest, APieceIsTakenInParts) {
  FrameSplitter splitter(64, 32);
  const auto bytes = hex("00000003 01 000005 68656c6c6f");
  std::ranges::copy(bytes, splitter.space().begin());
  splitter.filled(bytes.size());
  const auto whole = splitter.next();
  EXPECT_EQ(std::get<FrameSplitter::Data>(*whole).bytes.size(), 5u);
  splitter.taken(2);
  const auto rest = std::get<FrameSplitter::Data>(*splitter.next());
  EXPECT_THAT(rest.bytes, testing::ElementsAreArray(bytesOf("llo")));
  EXPECT_TRUE(rest.last);
  splitter.taken(0);
  EXPECT_EQ(std::get<FrameSplitter::Data>(*splitter.next()).bytes.size(), 3u);
  splitter.taken(3);
  EXPECT_TRUE(splitter.betweenFrames());
}

TEST(SpdySplitterTest, LongUnknownFramesAreSkippedAndLongKnownOnesRefused) {
  std::vector<uint8_t> bytes = hex("8003 1234 00 0fffff");
  bytes.resize(bytes.size() + 0xfffff);
  bytes += hex(moby::kPing);
  Reader reader(64, 32);
  ASSERT_TRUE(reader.give(bytes, 64).ok());
  EXPECT_THAT(reader.seen, ElementsAre("PING 4"));

  Reader refusing(64, 32);
  EXPECT_TRUE(refusing.give(hex("8003 0001 00 000021"), 64).code() ==
              absl::StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace berth::streaming::spdy
