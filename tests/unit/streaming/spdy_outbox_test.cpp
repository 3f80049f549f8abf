#include <string>

#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "berth/support/status.hpp"
#include "streaming/spdy/outbox.hpp"

namespace berth::streaming::spdy {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class SpdyOutboxTest : public testing::Test {
 protected:
  std::shared_ptr<Outgoing> stream(uint32_t id, size_t unsent) {
    auto outgoing = std::make_shared<Outgoing>(id, kInitialWindow, context.get_executor());
    outgoing->unsent = boost::asio::buffer(payload.data(), unsent);
    return outgoing;
  }
  // "stream:bytes" for each frame of the next batch, which is then settled.
  std::vector<std::string> next() {
    std::vector<std::string> frames;
    if (!outbox.fill(batch)) return frames;
    for (size_t i = 0; i < batch.frames.size(); ++i) {
      const FrameHeader header = parseFrameHeader(batch.headers[i]);
      frames.push_back(
          support::strCat(header.streamId, ":", header.length, header.fin() ? " FIN" : ""));
    }
    Outbox::settle(batch, Outbox::Fate::sent);
    return frames;
  }

  boost::asio::io_context context;
  const std::string payload = std::string(4u << 20, 'x');
  Outbox outbox;
  Outbox::Batch batch;
};

TEST_F(SpdyOutboxTest, ControlFramesComeFirst) {
  const auto one = stream(1, 10);
  outbox.schedule(one);
  outbox.control(Ping{.id = 1});
  ASSERT_TRUE(outbox.fill(batch));
  ASSERT_EQ(batch.parts.size(), 3u);
  EXPECT_EQ(batch.parts[0].size(), 12u);
  EXPECT_EQ(batch.parts[2].data(), payload.data());
  Outbox::settle(batch, Outbox::Fate::sent);
  EXPECT_FALSE(outbox.fill(batch));
}

TEST_F(SpdyOutboxTest, OneFrameOfEachInTurn) {
  for (const uint32_t id : {1u, 3u}) outbox.schedule(stream(id, 100000));
  outbox.schedule(stream(5, 7));
  EXPECT_THAT(next(), ElementsAre("1:65536", "3:65536", "5:7", "1:34464", "3:34464"));
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(SpdyOutboxTest, BatchesAreBounded) {
  for (uint32_t id = 1; id < 80; id += 2) outbox.schedule(stream(id, 1));
  EXPECT_EQ(next().size(), Outbox::kBatchFrames);
  EXPECT_EQ(next().size(), Outbox::kBatchFrames);
  EXPECT_EQ(next().size(), 8u);
  outbox.schedule(stream(1, payload.size()));
  EXPECT_EQ(next().size(), Outbox::kBatchBytes / Outbox::kFrame);
}

TEST_F(SpdyOutboxTest, WindowsDoNotCountUntilTheClientKeepsThem) {
  const auto one = stream(1, 300000);
  outbox.schedule(one);
  EXPECT_EQ(next().size(), 4u);
  EXPECT_EQ(next().size(), 1u);
  EXPECT_TRUE(one->isIdle());
  // They were counted all the same: what the client announces now is set against what it got.
  outbox.keepStreamWindows();
  one->unsent = boost::asio::buffer(payload.data(), 10);
  outbox.schedule(one);
  EXPECT_THAT(next(), IsEmpty());
  ASSERT_TRUE(one->window.grow(300000 - kInitialWindow));
  outbox.schedule(one);
  EXPECT_THAT(next(), IsEmpty());
  ASSERT_TRUE(one->window.grow(4));
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:4"));
}

TEST_F(SpdyOutboxTest, AStreamWithoutWindowHoldsNobodyUp) {
  outbox.keepStreamWindows();
  const auto one = stream(1, 200000);
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:65536"));
  outbox.schedule(stream(3, 5));
  EXPECT_THAT(next(), ElementsAre("3:5"));
  ASSERT_TRUE(one->window.grow(100));
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:100"));
}

TEST_F(SpdyOutboxTest, TheSessionsWindowIsSharedInTurn) {
  ASSERT_TRUE(outbox.growSessionWindow(1));
  for (const uint32_t id : {1u, 3u, 5u}) outbox.schedule(stream(id, 60000));
  EXPECT_THAT(next(), ElementsAre("1:60000", "3:5537"));
  EXPECT_THAT(next(), IsEmpty());
  ASSERT_TRUE(outbox.growSessionWindow(100));
  EXPECT_THAT(next(), ElementsAre("5:100"));
  ASSERT_TRUE(outbox.growSessionWindow(100));
  EXPECT_THAT(next(), ElementsAre("3:100"));
  EXPECT_TRUE(outbox.growSessionWindow(kMaxWindow));
  EXPECT_FALSE(outbox.growSessionWindow(1));
}

TEST_F(SpdyOutboxTest, TheEndNeedsNoWindow) {
  outbox.keepStreamWindows();
  ASSERT_TRUE(outbox.growSessionWindow(1));
  const auto one = stream(1, kInitialWindow);
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:65536"));
  one->end = Outgoing::End::queued;
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:0 FIN"));
  EXPECT_EQ(one->end, Outgoing::End::sent);
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(SpdyOutboxTest, TheLastBytesCarryTheEnd) {
  const auto one = stream(1, 65540);
  one->end = Outgoing::End::queued;
  outbox.schedule(one);
  EXPECT_THAT(next(), ElementsAre("1:65536", "1:4 FIN"));
}

// A client that never opens the session's window, and opens and resets streams for ever.
TEST_F(SpdyOutboxTest, AStreamThatIsDroppedWhileItWaitsForTheSessionsWindowIsNotKept) {
  ASSERT_TRUE(outbox.growSessionWindow(1));
  outbox.schedule(stream(1, kInitialWindow + 1));
  EXPECT_THAT(next(), ElementsAre("1:65536", "1:1"));
  std::weak_ptr<Outgoing> seen;
  {
    const auto waiting = stream(3, 10);
    seen = waiting;
    outbox.schedule(waiting);
    EXPECT_THAT(next(), IsEmpty());
    outbox.drop(*waiting);
  }
  EXPECT_TRUE(seen.expired());
  // Neither is one that was never looked at.
  {
    const auto waiting = stream(5, 10);
    seen = waiting;
    outbox.schedule(waiting);
    outbox.drop(*waiting);
  }
  EXPECT_TRUE(seen.expired());
  ASSERT_TRUE(outbox.growSessionWindow(100));
  EXPECT_THAT(next(), IsEmpty());
}

TEST_F(SpdyOutboxTest, DroppedBytesAreNotSent) {
  const auto one = stream(1, 100);
  const auto other = stream(3, 5);
  one->end = Outgoing::End::queued;
  outbox.schedule(one);
  outbox.schedule(other);
  outbox.drop(*one);
  EXPECT_TRUE(one->dropped);
  EXPECT_TRUE(one->isIdle());
  EXPECT_THAT(next(), ElementsAre("3:5"));
}

}  // namespace
}  // namespace berth::streaming::spdy
