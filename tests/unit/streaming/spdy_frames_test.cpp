#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_vectors.hpp"
#include "streaming/spdy/frames.hpp"

namespace berth::streaming::spdy {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

template <typename Frame>
std::vector<uint8_t> encoded(const Frame& frame) {
  std::vector<uint8_t> bytes;
  append(bytes, frame);
  return bytes;
}

absl::StatusOr<ControlFrame> parsed(const std::vector<uint8_t>& bytes) {
  const FrameHeader header =
      parseFrameHeader(std::span<const uint8_t, kHeaderSize>(bytes.data(), kHeaderSize));
  EXPECT_TRUE(header.control);
  EXPECT_EQ(header.length + kHeaderSize, bytes.size());
  return parseControlFrame(header, std::span(bytes).subspan(kHeaderSize));
}

// The frame, which must be of the type `Frame`; `bytes` have to outlive it.
template <typename Frame>
Frame parsedAs(const std::vector<uint8_t>& bytes) {
  const auto frame = parsed(bytes);
  EXPECT_TRUE(frame.ok()) << frame.status();
  if (!frame.ok() || !std::holds_alternative<Frame>(*frame)) {
    ADD_FAILURE() << "another type of frame";
    return {};
  }
  return std::get<Frame>(*frame);
}

// 2.6.1: flags, length, two stream ids without their X bits, three bits of priority.
TEST(SpdyFramesTest, SynStreamAsTheSpecificationDrawsIt) {
  const auto bytes = hex("8003 0001 03 00000d 80000005 80000003 e0 00 aabbcc");
  const auto frame = parsedAs<SynStream>(bytes);
  EXPECT_EQ(frame.streamId, 5u);
  EXPECT_EQ(frame.associatedStreamId, 3u);
  EXPECT_EQ(frame.priority, 7);
  EXPECT_TRUE(frame.fin);
  EXPECT_TRUE(frame.unidirectional);
  EXPECT_THAT(frame.block, ElementsAreArray(hex("aabbcc")));
  EXPECT_EQ(encoded(frame), hex("8003 0001 03 00000d 00000005 00000003 e0 00 aabbcc"));
}

TEST(SpdyFramesTest, SynReplyAndHeadersHaveTheSameLayout) {
  const auto reply = hex("8003 0002 01 000006 7fffffff 0102");
  EXPECT_EQ(parsedAs<SynReply>(reply).streamId, 0x7fffffffu);
  EXPECT_TRUE(parsedAs<SynReply>(reply).fin);
  EXPECT_EQ(encoded(parsedAs<SynReply>(reply)), reply);

  const auto headers = hex("8003 0008 00 000004 00000001");
  EXPECT_FALSE(parsedAs<HeadersFrame>(headers).fin);
  EXPECT_TRUE(parsedAs<HeadersFrame>(headers).block.empty());
  EXPECT_EQ(encoded(parsedAs<HeadersFrame>(headers)), headers);
}

TEST(SpdyFramesTest, TheShortFrames) {
  const auto reset = hex("8003 0003 00 000008 00000009 00000003");
  EXPECT_EQ(parsedAs<RstStream>(reset).streamId, 9u);
  EXPECT_EQ(parsedAs<RstStream>(reset).code, ResetCode::refusedStream);
  EXPECT_EQ(encoded(parsedAs<RstStream>(reset)), reset);

  const auto ping = hex("8003 0006 00 000004 fffffffd");
  EXPECT_EQ(parsedAs<Ping>(ping).id, 0xfffffffdu);
  EXPECT_EQ(encoded(parsedAs<Ping>(ping)), ping);

  const auto goAway = hex("8003 0007 00 000008 0000000b 00000002");
  EXPECT_EQ(parsedAs<GoAway>(goAway).lastStreamId, 11u);
  EXPECT_EQ(parsedAs<GoAway>(goAway).code, GoAwayCode::internalError);
  EXPECT_EQ(encoded(parsedAs<GoAway>(goAway)), goAway);

  const auto window = hex("8003 0009 00 000008 00000000 7fffffff");
  EXPECT_EQ(parsedAs<WindowUpdate>(window).streamId, 0u);
  EXPECT_EQ(parsedAs<WindowUpdate>(window).delta, kMaxWindow);
  EXPECT_EQ(encoded(parsedAs<WindowUpdate>(window)), window);
}

TEST(SpdyFramesTest, Settings) {
  const auto bytes = hex("8003 0004 01 000014 00000002 01 000004 00000064 02 000007 00010000");
  const auto frame = parsedAs<Settings>(bytes);
  ASSERT_EQ(frame.entries.size(), 2u);
  EXPECT_EQ(frame.flags, 1);
  EXPECT_EQ(frame.entries[0].id, kSettingMaxStreams);
  EXPECT_EQ(frame.entries[0].value, 100u);
  EXPECT_EQ(frame.entries[0].flags, 1);
  EXPECT_EQ(frame.entries[1].id, kSettingInitialWindow);
  EXPECT_EQ(frame.entries[1].value, 65536u);
  EXPECT_EQ(encoded(frame), bytes);
}

TEST(SpdyFramesTest, DataHeaders) {
  const auto bytes = hex("7fffffff 01 ffffff");
  const FrameHeader header =
      parseFrameHeader(std::span<const uint8_t, kHeaderSize>(bytes.data(), kHeaderSize));
  EXPECT_FALSE(header.control);
  EXPECT_EQ(header.streamId, kMaxStreamId);
  EXPECT_EQ(header.length, kMaxPayload);
  EXPECT_TRUE(header.fin());

  std::array<uint8_t, kHeaderSize> written{};
  writeDataHeader(written, 3, 5, Fin::no);
  EXPECT_THAT(written, ElementsAreArray(hex("00000003 00 000005")));
  writeDataHeader(written, kMaxStreamId, kMaxPayload, Fin::yes);
  EXPECT_THAT(written, ElementsAreArray(bytes));
}

TEST(SpdyFramesTest, WhatTheGoLibraryWrites) {
  const auto forward = hex(moby::kSynForward);
  EXPECT_EQ(parsedAs<SynStream>(forward).priority, 3);
  EXPECT_TRUE(parsedAs<SynStream>(forward).fin);
  const auto twoValues = hex(moby::kSynTwoValues);
  EXPECT_EQ(parsedAs<SynStream>(twoValues).associatedStreamId, 7u);
  EXPECT_TRUE(parsedAs<SynStream>(twoValues).unidirectional);
  const auto settings = hex(moby::kSettings);
  EXPECT_EQ(parsedAs<Settings>(settings).entries[0].value, 65536u);

  EXPECT_EQ(encoded(parsedAs<SynStream>(forward)), forward);
  EXPECT_EQ(encoded(parsedAs<SynStream>(twoValues)), twoValues);
  EXPECT_EQ(encoded(parsedAs<Settings>(settings)), settings);
  EXPECT_EQ(encoded(RstStream{.streamId = 5, .code = ResetCode::cancel}), hex(moby::kReset));
  EXPECT_EQ(encoded(Ping{.id = 1}), hex(moby::kPing));
  EXPECT_EQ(encoded(GoAway{.lastStreamId = 7, .code = GoAwayCode::protocolError}),
            hex(moby::kGoAway));
  EXPECT_EQ(encoded(WindowUpdate{.streamId = 5, .delta = 32768}), hex(moby::kWindowUpdate));
}

TEST(SpdyFramesTest, LengthsThatDoNotFitTheirTypesAreRefused) {
  const std::string_view wrong[] = {
      "8003 0001 00 000009 00000001 00000000 00",        // SYN_STREAM without a slot
      "8003 0002 00 000003 000000",                      // SYN_REPLY
      "8003 0008 00 000000",                             // HEADERS
      "8003 0003 00 000007 00000001 000000",             // RST_STREAM
      "8003 0003 00 000009 00000001 00000001 00",        //
      "8003 0004 00 000000",                             // SETTINGS
      "8003 0004 00 000008 00000001 00000007",           // half an entry
      "8003 0004 00 000004 20000001",                    // entries that are not there
      "8003 0004 00 00000c 00000000 00000007 00000000",  // an entry too many
      "8003 0006 00 000005 00000001 00",                 // PING
      "8003 0007 00 000004 00000001",                    // GOAWAY of SPDY/2
      "8003 0009 00 00000c 00000001 00000001 00000000",  // WINDOW_UPDATE
  };
  for (const std::string_view text : wrong) {
    const auto frame = parsed(hex(text));
    EXPECT_EQ(frame.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(frame.status().ToString(), HasSubstr("bytes, it must have")) << text;
  }
}

TEST(SpdyFramesTest, AnotherVersionIsRefused) {
  const auto frame = parsed(hex("8002 0006 00 000004 00000001"));
  EXPECT_EQ(frame.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(frame.status().ToString(), HasSubstr("PING frame has version 2"));
}

}  // namespace
}  // namespace berth::streaming::spdy
