// Flow control, with clients that keep windows and with those that do not.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_fixture.hpp"

namespace berth::streaming::spdy {
namespace {

using boost::asio::buffer;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

constexpr size_t kReadBuffer = 64u << 10;  // what the session may have read ahead

class SpdyFlowTest : public SpdyTest {
 protected:
  void announceWindow(uint32_t size) {
    give(Client::frame(Settings{.entries = {{.id = kSettingInitialWindow, .value = size}}}));
  }
  void grow(uint32_t streamId, uint32_t delta) {
    give(Client::frame(WindowUpdate{.streamId = streamId, .delta = delta}));
  }
  // As a client without windows does: `size` bytes in frames of 32 KiB, all at once.
  void flood(uint32_t streamId, size_t size) {
    std::vector<uint8_t> bytes;
    for (size_t sent = 0; sent < size;) {
      std::string part(std::min<size_t>(size - sent, 32u << 10), '\0');
      for (size_t i = 0; i < part.size(); ++i) part[i] = pattern(sent + i);
      bytes += Client::data(streamId, part);
      sent += part.size();
    }
    give(bytes);
  }
  static char pattern(size_t at) { return static_cast<char>(at * 31 + at / 251); }
  // Of the client's bytes, those that this side has taken off the wire.
  size_t consumed() const { return wire->consumed; }
  size_t sent(uint32_t streamId) {
    frames();
    return client->payloads[streamId].size();
  }
};

// kubectl never renews a window: output longer than the protocol's 64 KiB would stop there.
TEST_F(SpdyFlowTest, AClientWithoutWindowsIsNotStarved) {
  begin();
  const auto stream = open(1);
  const std::string text(5u << 20, 'x');
  EXPECT_EQ(**launch(stream->write(buffer(text))), absl::OkStatus());
  EXPECT_EQ(sent(1), text.size());
}

TEST_F(SpdyFlowTest, AnAnnouncedWindowIsNeverExceeded) {
  begin();
  announceWindow(1000);
  const auto stream = open(1);
  const std::string text(3000, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  EXPECT_EQ(sent(1), 1000u);
  grow(1, 500);
  EXPECT_EQ(sent(1), 1500u);
  grow(3, 500);  // another one's
  EXPECT_EQ(sent(1), 1500u);
  EXPECT_FALSE(writing->has_value());
  grow(1, 5000);
  EXPECT_EQ(sent(1), 3000u);
  EXPECT_TRUE(writing->has_value());
}

TEST_F(SpdyFlowTest, AWindowThatIsRenewedOnceIsKeptFromThenOn) {
  begin();
  const auto stream = open(1);
  const std::string text(200000, 'x');
  EXPECT_EQ(**launch(stream->write(buffer(text))), absl::OkStatus());
  grow(1, 100000);  // 36 KiB short of what it got
  const auto writing = launch(stream->write(buffer(text)));
  EXPECT_EQ(sent(1), 200000u);
  grow(1, 200000 - 100000 - kInitialWindow);
  EXPECT_EQ(sent(1), 200000u);
  grow(1, 7);
  EXPECT_EQ(sent(1), 200007u);
  EXPECT_FALSE(writing->has_value());
}

TEST_F(SpdyFlowTest, TheSessionsWindowIsKeptOnceItIsRenewed) {
  begin();
  grow(0, 1000);
  const auto first = open(1);
  const auto second = open(3);
  const std::string text(kInitialWindow, 'x');
  EXPECT_EQ(**launch(first->write(buffer(text))), absl::OkStatus());
  const auto writing = launch(second->write(buffer(text)));
  EXPECT_EQ(sent(3), 1000u);
  grow(0, 500);
  EXPECT_EQ(sent(3), 1500u);
  // Streams' windows were never renewed, so they are not this client's.
  grow(0, kInitialWindow);
  EXPECT_EQ(sent(3), kInitialWindow);
  EXPECT_EQ(**writing, absl::OkStatus());
}

TEST_F(SpdyFlowTest, ALaterSettingChangesOpenStreams) {
  begin();
  announceWindow(1000);
  const auto stream = open(1);
  const std::string text(5000, 'x');
  launch(stream->write(buffer(text)));
  EXPECT_EQ(sent(1), 1000u);
  announceWindow(1500);
  EXPECT_EQ(sent(1), 1500u);
  announceWindow(100);  // 1400 below zero
  grow(1, 1400);
  EXPECT_EQ(sent(1), 1500u);
  grow(1, 1);
  EXPECT_EQ(sent(1), 1501u);
}

TEST_F(SpdyFlowTest, OfSeveralSettingsTheFirstCounts) {
  begin();
  give(Client::frame(Settings{.entries = {{.id = kSettingMaxStreams, .value = 1},
                                          {.id = kSettingInitialWindow, .value = 10},
                                          {.id = kSettingInitialWindow, .value = 20}}}));
  const auto stream = open(1);
  launch(stream->write(buffer("more than ten bytes", 19)));
  EXPECT_EQ(sent(1), 10u);
}

TEST_F(SpdyFlowTest, AWindowThatGrowsTooLargeEndsItsStream) {
  begin();
  const auto stream = open(1);
  const auto other = open(3);
  grow(1, kMaxWindow);
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 1 7"));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kInvalidArgument);
  grow(3, 0);
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 3 1"));
  // A setting may do the same to a window that grew before.
  const auto third = open(5);
  grow(5, kMaxWindow - kInitialWindow);
  EXPECT_THAT(frames(), IsEmpty());
  announceWindow(kInitialWindow + 1);
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 5 7"));
  EXPECT_FALSE(ended->has_value());
}

TEST_F(SpdyFlowTest, WhatIsReadIsAnnounced) {
  auto limits = quickLimits();
  limits.streamWindow = 1000;
  limits.connectionWindow = 100000;
  begin(limits);
  give(client->syn(1));
  const auto stream = accept();
  EXPECT_THAT(frames(),
              ElementsAre("SETTINGS 4=1024 7=1000", "WINDOW_UPDATE 0 34464", "SYN_REPLY 1"));
  give(Client::data(1, std::string(1000, 'x')));
  EXPECT_EQ(read(*stream, 499).size(), 499u);
  EXPECT_THAT(frames(), IsEmpty());
  read(*stream, 1);
  EXPECT_THAT(frames(), ElementsAre("WINDOW_UPDATE 1 500"));
  // Into a read that waits, all the same.
  read(*stream);
  std::string text(1000, '\0');
  launch(stream->read(buffer(text)));
  give(Client::data(1, std::string(1000, 'y')));
  EXPECT_THAT(frames(), ElementsAre("WINDOW_UPDATE 1 500", "WINDOW_UPDATE 1 1000"));
  // The session's comes by halves of its own size.
  for (int i = 2; i < 50; ++i) {
    give(Client::data(1, std::string(1000, 'z')));
    read(*stream);
  }
  EXPECT_THAT(frames(), Contains("WINDOW_UPDATE 0 50000"));
}

TEST_F(SpdyFlowTest, AStreamThatTheClientHasClosedNeedsNoWindow) {
  auto limits = quickLimits();
  limits.streamWindow = 1000;
  begin(limits);
  const auto stream = open(1);
  give(Client::data(1, std::string(1000, 'x'), Fin::yes));
  EXPECT_EQ(read(*stream).size(), 1000u);
  EXPECT_THAT(frames(), IsEmpty());
}

TEST_F(SpdyFlowTest, ASlowReaderHoldsAWindowAndNoMore) {
  begin();
  const Limits limits;
  const auto stream = open(1);
  const size_t before = consumed();
  constexpr size_t kAll = 20u << 20;
  flood(1, kAll);
  EXPECT_GE(consumed() - before, limits.streamWindow);
  EXPECT_LE(consumed() - before, limits.streamWindow + 2 * kReadBuffer);

  size_t at = 0;
  while (at < kAll) {
    const std::string part = read(*stream, 100000);
    ASSERT_FALSE(part.empty());
    for (const char c : part) ASSERT_EQ(c, pattern(at++));
    ASSERT_LE(consumed() - before, at + at / 4096 + limits.streamWindow + 2 * kReadBuffer);
  }
  EXPECT_EQ(consumed(), wire->input.size());
}

TEST_F(SpdyFlowTest, AllStreamsTogetherHoldTheConnectionsWindowAndNoMore) {
  auto limits = quickLimits();
  limits.connectionWindow = 1u << 20;
  begin(limits);
  std::vector<std::shared_ptr<Stream>> streams;
  for (uint32_t i = 0; i < 10; ++i) streams.push_back(open(2 * i + 1));
  const size_t before = consumed();
  for (uint32_t i = 0; i < 10; ++i) flood(2 * i + 1, 300u << 10);
  EXPECT_GE(consumed() - before, limits.connectionWindow);
  EXPECT_LE(consumed() - before, limits.connectionWindow + 2 * kReadBuffer);
  // Each that is read makes room for the next.
  for (const auto& stream : streams) {
    size_t size = 0;
    while (size < (300u << 10)) size += read(*stream).size();
  }
  EXPECT_EQ(consumed(), wire->input.size());
}

TEST_F(SpdyFlowTest, AClientThatKeepsItsWindowIsNotHeldUpByASlowStream) {
  begin();
  const auto slow = open(1);
  const auto quick = open(3);
  flood(1, Limits().streamWindow);
  give(Client::data(3, "through"));
  EXPECT_EQ(read(*quick), "through");
}

TEST_F(SpdyFlowTest, AReadThatWaitsNeedsNoRoom) {
  auto limits = quickLimits();
  limits.connectionWindow = kInitialWindow;
  begin(limits);
  const auto slow = open(1);
  const auto quick = open(3);
  flood(1, kInitialWindow);  // all that the connection holds
  std::string text(7, '\0');
  const auto reading = launch(quick->read(buffer(text)));
  give(Client::data(3, "through"));
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ(text, "through");
}

TEST_F(SpdyFlowTest, AFullStreamThatGoesLetsTheOthersGoOn) {
  begin();
  auto first = open(1);
  auto second = open(3);
  auto third = open(5);
  const auto stuck = [&](uint32_t id) {
    flood(id, Limits().streamWindow + kReadBuffer);
    give(Client::data(5, std::to_string(id)));
    return consumed() < wire->input.size();
  };
  ASSERT_TRUE(stuck(1));
  first->reset();
  poll();
  EXPECT_EQ(read(*third), "1");
  ASSERT_TRUE(stuck(3));
  second = nullptr;
  poll();
  EXPECT_EQ(read(*third), "3");
  EXPECT_EQ(consumed(), wire->input.size());
}

TEST_F(SpdyFlowTest, BytesForNobodyAreGivenBackToTheSessionsWindow) {
  auto limits = quickLimits();
  limits.connectionWindow = 100000;
  begin(limits);
  const auto gone = open(1);
  gone->reset();
  auto dropped = open(3);
  flood(3, 20000);
  dropped = nullptr;
  poll();
  flood(1, 29999);
  EXPECT_THAT(frames(), Not(Contains(StartsWith("WINDOW_UPDATE"))));
  flood(1, 1);
  EXPECT_THAT(frames(), ElementsAre("WINDOW_UPDATE 0 50000"));
}

TEST_F(SpdyFlowTest, WhileAStreamIsFullTheClientIsProbed) {
  auto limits = quickLimits();
  limits.probe = std::chrono::milliseconds(20);
  begin(limits);
  const auto stream = open(1);
  flood(1, limits.streamWindow + kReadBuffer);
  std::vector<std::string> seen;
  ASSERT_TRUE(until([&] {
    for (const std::string& frame : frames()) seen.push_back(frame);
    return seen.size() >= 3;
  }));
  EXPECT_THAT(seen, testing::Each("SETTINGS 7=524288"));
  // A client that is gone is noticed.
  wire->broken = true;
  ASSERT_TRUE(until([&] { return ended->has_value(); }));
  EXPECT_EQ(result().code(), absl::StatusCode::kUnavailable);
}

TEST_F(SpdyFlowTest, ProbesEndWithTheStall) {
  auto limits = quickLimits();
  limits.probe = std::chrono::milliseconds(1);
  begin(limits);
  const auto stream = open(1);
  flood(1, limits.streamWindow + kReadBuffer);
  while (consumed() < wire->input.size()) read(*stream);
  frames();
  context.restart();
  context.run_for(std::chrono::milliseconds(50));
  EXPECT_THAT(frames(), IsEmpty());
}

TEST_F(SpdyFlowTest, AClientThatDoesNotReadItsAnswersIsNotReadEither) {
  begin();
  allowOutput(0);
  std::vector<uint8_t> pings;
  for (uint32_t i = 0; i < 200000; ++i) pings += Client::frame(Ping{.id = 2 * i + 1});
  give(pings);
  EXPECT_LE(consumed(), 5 * kReadBuffer);
  allowOutput();
  EXPECT_EQ(consumed(), wire->input.size());
  EXPECT_EQ(frames().size(), 200000u + 2);
}

}  // namespace
}  // namespace berth::streaming::spdy
