// ttrpc's bytes: fields, frames, messages.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ttrpc/fields.hpp"
#include "ttrpc/frame.hpp"
#include "ttrpc/message.hpp"

namespace berth::kata::ttrpc {
namespace {

using testing::ElementsAre;
using namespace std::string_literals;

// Those of Python's protobuf for the same values.
TEST(Messages, AreThoseOfProtocolBuffers) {
  const Request request{.service = "s",
                        .method = "m",
                        .payload = "p\0q"s,
                        .timeoutNs = 300,
                        .metadata = {{"k", "v"}, {"k", ""}}};
  EXPECT_EQ(
      encode(request),
      "\x0a\x01s\x12\x01m\x1a\x03p\0q\x20\xac\x02\x2a\x06\x0a\x01k\x12\x01v\x2a\x03\x0a\x01k"s);
  EXPECT_EQ(encode(Response{.code = 5, .message = "no", .payload = {}}),
            "\x0a\x06\x08\x05\x12\x02no"s);
  EXPECT_EQ(encode(Response{}), "");
}

TEST(Messages, ComeBackAsTheyWent) {
  const Request request{.service = "containerd.task.v2.Task",
                        .method = "Wait",
                        .payload = std::string(1000, 'x'),
                        .timeoutNs = INT64_MAX,
                        .metadata = {{"a", "b"}}};
  Request again;
  ASSERT_TRUE(decode(encode(request), again));
  EXPECT_EQ(again.service, request.service);
  EXPECT_EQ(again.payload, request.payload);
  EXPECT_EQ(again.timeoutNs, request.timeoutNs);
  EXPECT_EQ(again.metadata, request.metadata);
  Response response;
  ASSERT_TRUE(decode(encode(Response{.code = -1, .message = "m", .payload = "p"}), response));
  EXPECT_EQ(response.code, -1);
  EXPECT_EQ(response.message, "m");
  EXPECT_EQ(response.payload, "p");
}

TEST(Messages, SkipWhatTheyDoNotKnow) {
  // Fields 9 (varint), 10 (fixed64), 11 (fixed32) and 12 (bytes) before the payload.
  Response response;
  ASSERT_TRUE(decode("\x48\x01\x51\1\2\3\4\5\6\7\x08\x5d\1\2\3\4\x62\x01z\x12\x01p"s, response));
  EXPECT_EQ(response.payload, "p");
}

TEST(Messages, RefuseWhatIsNone) {
  Request request;
  EXPECT_FALSE(decode("\x0a\x05s"s, request));  // cut off
  EXPECT_FALSE(decode("\x0a"s, request));       // without its length
  EXPECT_FALSE(decode("\x0b\x0c"s, request));   // a group
  EXPECT_FALSE(decode("\x02\x01z"s, request));  // field 0
  EXPECT_FALSE(decode("\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s, request));  // 65 bits
  EXPECT_FALSE(decode("\x2a\x02\x0a\x05"s, request));                              // within a part
}

struct Collected final : FrameSink {
  void onFrame(const FrameHeader& header, std::string_view data) override {
    frames.push_back(std::to_string(header.stream) + ":" + std::string(data));
  }
  void onOversized(const FrameHeader& header) override {
    frames.push_back(std::to_string(header.stream) + ":too large");
  }
  std::vector<std::string> frames;
};

TEST(Frames, HaveTheHeaderOfTheFormat) {
  EXPECT_EQ(encodeFrame(0x01020304, FrameType::kResponse, "ab", kRemoteClosed),
            "\0\0\0\x02\x01\x02\x03\x04\x02\x01"s + "ab");
  const FrameHeader header = decodeHeader("\0\x01\0\0\0\0\0\x07\x03\x04"s);
  EXPECT_EQ(header.length, 0x10000u);
  EXPECT_EQ(header.stream, 7u);
  EXPECT_EQ(header.type, FrameType::kData);
  EXPECT_EQ(header.flags, kNoData);
}

TEST(Frames, ArePutTogetherHoweverTheyCome) {
  const std::string bytes = encodeFrame(1, FrameType::kRequest, "one") +
                            encodeFrame(3, FrameType::kRequest, "") +
                            encodeFrame(5, FrameType::kRequest, "five");
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    Collected sink;
    FrameReader reader(sink);
    for (size_t at = 0; at < bytes.size(); at += piece) reader.push(bytes.substr(at, piece));
    EXPECT_THAT(sink.frames, ElementsAre("1:one", "3:", "5:five")) << piece;
    EXPECT_TRUE(reader.atBoundary());
  }
}

TEST(Frames, OfTooMuchAreSkipped) {
  std::string large = encodeFrame(1, FrameType::kResponse, std::string(kMaxData + 1, 'x'));
  large += encodeFrame(3, FrameType::kResponse, "next");
  Collected sink;
  FrameReader reader(sink);
  reader.push(std::string_view(large).substr(0, 100));
  // Told at once: the rest may never come.
  EXPECT_THAT(sink.frames, ElementsAre("1:too large"));
  EXPECT_FALSE(reader.atBoundary());
  reader.push(std::string_view(large).substr(100));
  EXPECT_THAT(sink.frames, ElementsAre("1:too large", "3:next"));

  Collected most;
  FrameReader(most).push(encodeFrame(1, FrameType::kResponse, std::string(kMaxData, 'x')));
  EXPECT_EQ(most.frames.at(0).size(), kMaxData + 2);
}

}  // namespace
}  // namespace berth::kata::ttrpc
