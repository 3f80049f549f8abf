// How connections end.
#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_fixture.hpp"

namespace berth::streaming::spdy {
namespace {

using boost::asio::buffer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SpdyEndTest : public SpdyTest {
 protected:
  // Task<void> has no value to keep.
  static Task<bool> shut(StreamConnection& ending) {
    co_await ending.shutdown();
    co_return true;
  }
  Pending<bool> shutdown() { return launch(shut(*connection)); }
};

TEST_F(SpdyEndTest, TheOrderlyEnd) {
  begin();
  const auto open1 = open(1);
  const auto closed = open(3);
  give(Client::data(1, "left over"));
  give(Client::data(3, "complete", Fin::yes));
  const auto accepting = launch(connection->accept());
  endInput();
  ASSERT_TRUE(until([&] { return ended->has_value(); }));
  EXPECT_EQ(result(), absl::OkStatus());
  EXPECT_TRUE(absl::IsOutOfRange((**accepting).status()));
  EXPECT_TRUE(absl::IsOutOfRange((**launch(connection->accept())).status()));
  EXPECT_THAT(frames(), ElementsAre("GOAWAY 3 0"));
  EXPECT_TRUE(wire->closed);
  // What had arrived is not lost, and an end that was none does not look like one.
  EXPECT_EQ(read(*open1), "left over");
  EXPECT_EQ(readError(*open1).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(read(*closed), "complete");
  EXPECT_EQ(read(*closed), "");
  EXPECT_EQ((**launch(closed->write(buffer("x", 1)))).code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(**launch(closed->closeWrite()), absl::OkStatus());
  closed->reset();
}

TEST_F(SpdyEndTest, AnEndWithinAFrame) {
  begin();
  give(hex("00000001 00000005 6865"));
  endInput();
  ASSERT_TRUE(until([&] { return ended->has_value(); }));
  EXPECT_EQ(result().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(result().ToString(), HasSubstr("ended within a frame"));
  EXPECT_THAT(frames(), Contains("GOAWAY 0 1"));
  EXPECT_EQ((**launch(connection->accept())).status(), result());
}

TEST_F(SpdyEndTest, ABrokenConnection) {
  begin();
  const auto stream = open(1);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  wire->broken = true;
  wire->readable.notify();
  poll();
  EXPECT_EQ(result().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(result().ToString(), HasSubstr("read from the SPDY client: the wire is broken"));
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((**reading).status(), result());
  EXPECT_EQ((**launch(connection->accept())).status(), result());
}

TEST_F(SpdyEndTest, AConnectionThatBreaksUnderAWrite) {
  begin();
  const auto stream = open(1);
  allowOutput(10);
  const std::string text(100000, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  wire->broken = true;
  wire->writable.notify();
  poll();
  ASSERT_TRUE(writing->has_value());
  EXPECT_EQ(result().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(result().ToString(), HasSubstr("write to the SPDY client"));
}

TEST_F(SpdyEndTest, AfterTheClientsGoodbyeItsStreamsGoOn) {
  begin();
  const auto stream = open(1);
  give(client->syn(3));
  const auto accepting = launch(connection->accept());
  ASSERT_TRUE(accepting->has_value() && (*accepting)->ok());
  const auto waiting = launch(connection->accept());
  give(hex(moby::kGoAway));
  ASSERT_TRUE(waiting->has_value());
  EXPECT_TRUE(absl::IsOutOfRange((**waiting).status()));
  EXPECT_FALSE(ended->has_value());
  give(Client::data(1, "still"));
  EXPECT_EQ(read(*stream), "still");
  EXPECT_EQ(**launch(stream->write(buffer("here", 4))), absl::OkStatus());
  frames();
  give(client->syn(5));
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 5 3"));
}

TEST_F(SpdyEndTest, ShutdownSendsWhatIsQueuedAndTheGoodbyeLast) {
  begin();
  const auto stream = open(1);
  const auto other = open(3);
  allowOutput(10);
  const std::string text(200000, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  const auto writingOther = launch(other->write(buffer(text)));
  launch(other->closeWrite());
  const auto done = shutdown();
  EXPECT_EQ((**launch(stream->write(buffer("late", 4)))).code(), absl::StatusCode::kUnavailable);
  EXPECT_FALSE(done->has_value());
  allowOutput();
  EXPECT_EQ(**writing, absl::OkStatus());
  EXPECT_EQ(**writingOther, absl::OkStatus());
  EXPECT_FALSE(done->has_value()) << "the client may still be reading";
  const auto sent = frames();
  EXPECT_EQ(sent.back(), "GOAWAY 3 0");
  EXPECT_THAT(sent, Contains("DATA 3 3392 FIN"));
  EXPECT_EQ(client->payloads[1], text);
  EXPECT_EQ(client->payloads[3], text);
  endInput();
  EXPECT_TRUE(done->has_value());
  EXPECT_TRUE(wire->closed);
  EXPECT_EQ(result(), absl::OkStatus());
}

TEST_F(SpdyEndTest, ShutdownReadsOnSoThatNothingIsCutOff) {
  begin();
  const auto stream = open(1);
  const std::string much(64u << 10, 'x');
  for (int i = 0; i < 20; ++i) give(Client::data(1, much));  // until the stream is full
  ASSERT_LT(wire->consumed, wire->input.size());
  const auto done = shutdown();
  EXPECT_EQ(wire->consumed, wire->input.size());
  give(client->syn(3));
  give(Client::data(3, "ignored"));
  EXPECT_FALSE(ended->has_value());
  EXPECT_THAT(frames(), testing::IsSupersetOf({"GOAWAY 1 0"}));
  EXPECT_TRUE(absl::IsOutOfRange((**launch(connection->accept())).status()));
  endInput();
  EXPECT_TRUE(done->has_value());
}

TEST_F(SpdyEndTest, ShutdownDoesNotWaitForAClientThatStays) {
  begin();
  const auto stream = open(1);
  const auto start = std::chrono::steady_clock::now();
  const auto done = shutdown();
  ASSERT_TRUE(until([&] { return done->has_value(); }));
  EXPECT_GE(std::chrono::steady_clock::now() - start, quickLimits().linger);
  EXPECT_TRUE(wire->closed);
  EXPECT_EQ(result(), absl::OkStatus());
}

TEST_F(SpdyEndTest, ShutdownDoesNotWaitForAClientThatDoesNotRead) {
  begin();
  const auto stream = open(1);
  allowOutput(0);
  const std::string text(100000, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  const auto done = shutdown();
  ASSERT_TRUE(until([&] { return done->has_value(); }));
  ASSERT_TRUE(writing->has_value());
  EXPECT_TRUE(wire->closed);
}

TEST_F(SpdyEndTest, ShutdownDoesNotWaitForAWindow) {
  begin();
  give(Client::frame(Settings{.entries = {{.id = kSettingInitialWindow, .value = 10}}}));
  const auto stream = open(1);
  const std::string text(100, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  const auto done = shutdown();
  ASSERT_TRUE(until([&] { return done->has_value(); }));
  ASSERT_TRUE(writing->has_value());
  EXPECT_EQ((**writing).code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(frames(), ElementsAre("DATA 1 10", "GOAWAY 1 0"));
}

TEST_F(SpdyEndTest, ShutdownWakesWhoWaits) {
  begin();
  const auto stream = open(1);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  const auto accepting = launch(connection->accept());
  const auto done = shutdown();
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((**reading).status().code(), absl::StatusCode::kUnavailable);
  ASSERT_TRUE(accepting->has_value());
  EXPECT_TRUE(absl::IsOutOfRange((**accepting).status()));
}

TEST_F(SpdyEndTest, ShutdownMoreThanOnceAndAfterTheEnd) {
  begin();
  const auto first = shutdown();
  const auto second = shutdown();
  endInput();
  EXPECT_TRUE(first->has_value());
  EXPECT_TRUE(second->has_value());
  EXPECT_TRUE(shutdown()->has_value());
}

TEST_F(SpdyEndTest, ShutdownOfWhatNeverRan) {
  wire = std::make_shared<Wire>(context.get_executor());
  connection = makeConnection(std::make_unique<MemoryConnection>(context.get_executor(), wire));
  EXPECT_TRUE(shutdown()->has_value());
  EXPECT_TRUE(wire->closed);
  EXPECT_EQ(**launch(connection->run()), absl::OkStatus());
}

TEST_F(SpdyEndTest, RunsOnce) {
  begin();
  EXPECT_EQ((**launch(connection->run())).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(ended->has_value());
}

TEST_F(SpdyEndTest, ACancelledRunEndsEverything) {
  begin();
  cancelLast();
  ASSERT_TRUE(until([&] { return ended->has_value(); }));
  EXPECT_EQ(result().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(wire->closed);
}

TEST_F(SpdyEndTest, ADroppedConnectionEndsAtOnce) {
  begin();
  const auto stream = open(1);
  const auto writer = open(3);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  allowOutput(0);
  const std::string text(100000, 'x');
  const auto writing = launch(writer->write(buffer(text)));
  const auto accepting = launch(connection->accept());
  connection = nullptr;
  poll();
  EXPECT_TRUE(wire->closed);
  EXPECT_EQ(result().code(), absl::StatusCode::kCancelled);
  ASSERT_TRUE(reading->has_value() && writing->has_value() && accepting->has_value());
  EXPECT_EQ((**reading).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ((**writing).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ((**accepting).status().code(), absl::StatusCode::kCancelled);
  // Streams that outlive it fail, and do no harm.
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ((**launch(writer->write(buffer(text)))).code(), absl::StatusCode::kCancelled);
  stream->reset();
}

TEST_F(SpdyEndTest, TheContextMayGoAtAnyTime) {
  std::weak_ptr<Wire> left;
  {
    boost::asio::io_context own;
    auto wires = std::make_shared<Wire>(own.get_executor());
    left = wires;
    std::shared_ptr<StreamConnection> shared =
        makeConnection(std::make_unique<MemoryConnection>(own.get_executor(), wires));
    Client peer;
    wires->input = peer.syn(1);
    wires->outputRoom = 0;
    const auto ignore = [](const std::exception_ptr&, const auto&) {};
    boost::asio::co_spawn(own, shared->run(), ignore);
    const auto session = [](std::shared_ptr<StreamConnection> served) -> Task<absl::Status> {
      const auto stream = co_await served->accept();
      if (!stream.ok()) co_return stream.status();
      co_return co_await (*stream)->write(buffer("never sent", 10));
    };
    boost::asio::co_spawn(own, session(std::move(shared)), ignore);
    own.poll();
  }
  EXPECT_TRUE(left.expired()) << "something outlived its context";
}

}  // namespace
}  // namespace berth::streaming::spdy
