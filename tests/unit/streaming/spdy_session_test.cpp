// Streams, as clients that behave use them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_fixture.hpp"

namespace berth::streaming::spdy {
namespace {

using boost::asio::buffer;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using SpdySessionTest = SpdyTest;

constexpr std::string_view kGreeting = "SETTINGS 4=1024 7=524288";
constexpr std::string_view kSessionWindow = "WINDOW_UPDATE 0 4128768";  // 4 MiB - 64 KiB

TEST_F(SpdySessionTest, TheClientSpeaksFirst) {
  begin();
  EXPECT_THAT(frames(), IsEmpty());
  give(client->syn(1));
  EXPECT_THAT(frames(), ElementsAre(kGreeting, kSessionWindow));
}

TEST_F(SpdySessionTest, AcceptAnswersAndGivesTheHeaders) {
  begin();
  const auto waiting = launch(connection->accept());
  EXPECT_FALSE(waiting->has_value());
  give(client->syn(1, {{"streamtype", "data"}, {"port", "80"}}));
  ASSERT_TRUE(waiting->has_value() && (*waiting)->ok());
  EXPECT_EQ((**waiting).value()->headers(), (Headers{{"streamtype", "data"}, {"port", "80"}}));
  EXPECT_THAT(frames(), ElementsAre(kGreeting, kSessionWindow, "SYN_REPLY 1"));
}

TEST_F(SpdySessionTest, StreamsAreAcceptedInTheirOrder) {
  begin();
  for (const uint32_t id : {1u, 3u, 7u}) give(client->syn(id, {{"n", std::to_string(id)}}));
  for (const char* n : {"1", "3", "7"}) EXPECT_EQ(accept()->headers().at("n"), n);
}

// What a Go client sends at the beginning of an exec.
TEST_F(SpdySessionTest, AConversationOfTheGoLibrary) {
  begin();
  give(hex(moby::kSynError));
  const auto error = accept();
  give(hex(moby::kSynStdin));
  const auto stdinStream = accept();
  give(hex(moby::kSynStdout));
  const auto stdoutStream = accept();
  EXPECT_EQ(error->headers().at("streamtype"), "error");
  EXPECT_EQ(stdinStream->headers().at("streamtype"), "stdin");
  EXPECT_EQ(stdoutStream->headers().at("streamtype"), "stdout");
  give(hex(moby::kData));
  give(hex(moby::kPing));
  give(hex(moby::kDataFin));
  EXPECT_EQ(read(*stdinStream), "hello");
  EXPECT_EQ(read(*stdinStream), "");
  EXPECT_EQ(read(*stdinStream), "");
  EXPECT_THAT(frames(), ElementsAre(kGreeting, kSessionWindow, "SYN_REPLY 1", "SYN_REPLY 3",
                                    "SYN_REPLY 5", "PING 1"));
}

TEST_F(SpdySessionTest, BytesReachAReadThatWaits) {
  begin();
  const auto stream = open(1);
  std::string text(8, '.');
  const auto reading = launch(stream->read(buffer(text)));
  EXPECT_FALSE(reading->has_value());
  give(Client::data(1, "abcdefghij"));
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((**reading).value_or(0), 8u);
  EXPECT_EQ(text, "abcdefgh");
  EXPECT_EQ(read(*stream), "ij");
}

TEST_F(SpdySessionTest, DataMayComeBeforeTheStreamIsAccepted) {
  begin();
  give(client->syn(1));
  give(Client::data(1, "early", Fin::yes));
  const auto stream = accept();
  EXPECT_EQ(read(*stream), "early");
  EXPECT_EQ(read(*stream), "");
}

TEST_F(SpdySessionTest, AStreamMayBeginWithItsEnd) {
  begin();
  give(client->syn(1, {}, Fin::yes));
  const auto stream = accept();
  EXPECT_EQ(read(*stream), "");
  EXPECT_EQ(**launch(stream->write(buffer("still", 5))), absl::OkStatus());
  EXPECT_EQ(client->payloads[1], "");
  frames();
  EXPECT_EQ(client->payloads[1], "still");
}

TEST_F(SpdySessionTest, WritesAreSentFromWhereTheyAre) {
  begin();
  const auto stream = open(1);
  const std::string text(200000, 'x');
  EXPECT_EQ(**launch(stream->write(buffer(text))), absl::OkStatus());
  EXPECT_THAT(frames(), ElementsAre("DATA 1 65536", "DATA 1 65536", "DATA 1 65536", "DATA 1 3392"));
  EXPECT_EQ(client->payloads[1], text);
  EXPECT_EQ(std::ranges::count_if(wire->parts,
                                  [&](const void* part) {
                                    return part >= text.data() && part < text.data() + text.size();
                                  }),
            4);
}

TEST_F(SpdySessionTest, CloseWriteEndsTheStreamForTheClientOnly) {
  begin();
  const auto stream = open(1);
  EXPECT_EQ(**launch(stream->write(buffer("bye", 3))), absl::OkStatus());
  EXPECT_EQ(**launch(stream->closeWrite()), absl::OkStatus());
  EXPECT_EQ(**launch(stream->closeWrite()), absl::OkStatus());
  EXPECT_THAT(frames(), ElementsAre("DATA 1 3", "DATA 1 0 FIN"));
  EXPECT_EQ((**launch(stream->write(buffer("more", 4)))).code(),
            absl::StatusCode::kFailedPrecondition);
  give(Client::data(1, "answer", Fin::yes));
  EXPECT_EQ(read(*stream), "answer");
  EXPECT_EQ(read(*stream), "");
  EXPECT_THAT(frames(), IsEmpty());
}

TEST_F(SpdySessionTest, CloseWriteWaitsForTheWriteBeforeIt) {
  begin();
  const auto stream = open(1);
  allowOutput(10);
  const std::string text(100, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  launch(stream->closeWrite());
  EXPECT_FALSE(writing->has_value());
  allowOutput();
  EXPECT_EQ(**writing, absl::OkStatus());
  EXPECT_THAT(frames(), ElementsAre("DATA 1 100", "DATA 1 0 FIN"));
}

TEST_F(SpdySessionTest, ResetEndsBothDirectionsAtOnce) {
  begin();
  const auto stream = open(1);
  give(Client::data(1, "unread"));
  allowOutput(0);
  const auto writing = launch(stream->write(buffer("first", 5)));
  stream->reset();
  stream->reset();
  poll();
  EXPECT_FALSE(writing->has_value()) << "the connection still has the buffer";
  allowOutput();
  EXPECT_TRUE(writing->has_value());
  EXPECT_THAT(frames(), ElementsAre("DATA 1 5", "RST_STREAM 1 5"));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kCancelled);
  EXPECT_EQ((**launch(stream->write(buffer("x", 1)))).code(), absl::StatusCode::kCancelled);
}

TEST_F(SpdySessionTest, ResetByTheClientEndsWhatWaits) {
  begin();
  const auto stream = open(1);
  const auto other = open(3);
  give(Client::data(1, "unread"));
  allowOutput(0);
  const std::string text(1000, 'x');
  const auto blocking = launch(other->write(buffer(text)));
  const auto writing = launch(stream->write(buffer(text)));
  give(Client::frame(RstStream{.streamId = 1, .code = ResetCode::cancel}));
  ASSERT_TRUE(writing->has_value());
  EXPECT_THAT((**writing).ToString(), HasSubstr("the client reset SPDY stream 1 with code 5"));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kCancelled);
  allowOutput();
  EXPECT_EQ(**blocking, absl::OkStatus());
  EXPECT_THAT(frames(), ElementsAre("DATA 3 1000"));
}

TEST_F(SpdySessionTest, AReadThatWaitsEndsWithAReset) {
  begin();
  const auto stream = open(1);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  stream->reset();
  poll();
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((**reading).status().code(), absl::StatusCode::kCancelled);
}

TEST_F(SpdySessionTest, ADroppedStreamIsReset) {
  begin();
  auto unused = open(1);
  unused = nullptr;
  poll();
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 1 5"));

  auto halfClosed = open(3);
  launch(halfClosed->closeWrite());
  halfClosed = nullptr;
  poll();
  EXPECT_THAT(frames(), ElementsAre("DATA 3 0 FIN", "RST_STREAM 3 5"));

  auto closed = open(5);
  give(Client::data(5, "", Fin::yes));
  launch(closed->closeWrite());
  closed = nullptr;
  poll();
  EXPECT_THAT(frames(), ElementsAre("DATA 5 0 FIN"));
}

TEST_F(SpdySessionTest, ADroppedStreamStillSendsItsEnd) {
  begin();
  auto stream = open(1);
  allowOutput(0);
  launch(stream->closeWrite());
  const auto waiting = open(3);
  stream = nullptr;
  poll();
  allowOutput();
  EXPECT_THAT(frames(), testing::IsSupersetOf({"DATA 1 0 FIN", "RST_STREAM 1 5"}));
}

TEST_F(SpdySessionTest, OneReadAndOneWriteAtATime) {
  begin();
  const auto stream = open(1);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kFailedPrecondition);
  give(Client::data(1, "x"));
  EXPECT_EQ((**reading).value_or(0), 1u);

  allowOutput(0);
  const auto writing = launch(stream->write(buffer("a", 1)));
  EXPECT_EQ((**launch(stream->write(buffer("b", 1)))).code(),
            absl::StatusCode::kFailedPrecondition);
  allowOutput();
  EXPECT_EQ(**writing, absl::OkStatus());
}

TEST_F(SpdySessionTest, ACancelledReadLosesNothing) {
  begin();
  const auto stream = open(1);
  char byte = 0;
  const auto reading = launch(stream->read(buffer(&byte, 1)));
  cancelLast();
  ASSERT_TRUE(reading->has_value());
  EXPECT_EQ((**reading).status().code(), absl::StatusCode::kCancelled);
  give(Client::data(1, "kept"));
  EXPECT_EQ(read(*stream), "kept");
}

TEST_F(SpdySessionTest, ACancelledWriteReturnsWhenItsBufferIsFree) {
  begin();
  const auto stream = open(1);
  allowOutput(1000);
  const std::string text(1u << 20, 'x');
  const auto writing = launch(stream->write(buffer(text)));
  cancelLast();
  EXPECT_FALSE(writing->has_value()) << "the connection still has the buffer";
  allowOutput();
  ASSERT_TRUE(writing->has_value());
  EXPECT_EQ((**writing).code(), absl::StatusCode::kCancelled);
  frames();
  EXPECT_LT(client->payloads[1].size(), text.size()) << "the rest is not sent";
  EXPECT_EQ(**launch(stream->write(buffer("again", 5))), absl::OkStatus());
}

TEST_F(SpdySessionTest, ACancelledAcceptLosesNoStream) {
  begin();
  const auto accepting = launch(connection->accept());
  cancelLast();
  ASSERT_TRUE(accepting->has_value());
  EXPECT_EQ((**accepting).status().code(), absl::StatusCode::kCancelled);
  give(client->syn(1));
  EXPECT_NE(accept(), nullptr);
}

TEST_F(SpdySessionTest, StreamsTakeTurns) {
  begin();
  const auto first = open(1);
  const auto second = open(3);
  const auto third = open(5);
  allowOutput(0);
  const std::string large(1u << 20, 'l');
  const auto writingLarge = launch(first->write(buffer(large)));
  const auto writingSmall = launch(second->write(buffer("small", 5)));
  const auto writingOther = launch(third->write(buffer(large)));
  allowOutput();
  const auto order = frames();
  // The first batch had the first stream alone; then each has a frame in turn.
  const auto small = std::ranges::find(order, "DATA 3 5");
  EXPECT_LE(small - order.begin(), 5) << testing::PrintToString(order);
  const auto last = std::find_if(order.rbegin(), order.rend(), [](const std::string& frame) {
                      return frame.starts_with("DATA 1 ");
                    }).base();
  const auto sameStream = [](const std::string& one, const std::string& next) {
    return one.substr(0, 7) == next.substr(0, 7);
  };
  EXPECT_EQ(std::adjacent_find(small, last, sameStream), last) << testing::PrintToString(order);
  EXPECT_EQ(client->payloads[1], large);
  EXPECT_EQ(client->payloads[3], "small");
  EXPECT_EQ(client->payloads[5], large);
  EXPECT_TRUE(writingLarge->has_value() && writingSmall->has_value() && writingOther->has_value());
}

TEST_F(SpdySessionTest, SeveralStreamsShareAWrite) {
  begin();
  std::vector<std::shared_ptr<Stream>> streams;
  for (uint32_t i = 0; i < 8; ++i) streams.push_back(open(2 * i + 1));
  allowOutput(0);
  const auto blocking = launch(streams[0]->write(buffer("x", 1)));
  const size_t before = wire->writes;
  std::vector<Pending<absl::Status>> writing;
  for (uint32_t i = 1; i < 8; ++i) writing.push_back(launch(streams[i]->write(buffer("y", 1))));
  allowOutput();
  EXPECT_EQ(wire->writes, before + 1);
  for (const auto& write : writing) EXPECT_EQ(**write, absl::OkStatus());
}

TEST_F(SpdySessionTest, PingsOfTheClientAreAnswered) {
  begin();
  give(Client::frame(Ping{.id = 1}));
  give(Client::frame(Ping{.id = 4}));  // nobody here has sent it
  give(Client::frame(Ping{.id = 0xffffffff}));
  EXPECT_THAT(frames(), ElementsAre(kGreeting, kSessionWindow, "PING 1", "PING 4294967295"));
}

TEST_F(SpdySessionTest, LaterHeadersAreReadAndMayEndAStream) {
  begin();
  const auto stream = open(1);
  const auto late = client->block({{"late", "yes"}});
  give(Client::frame(HeadersFrame{.streamId = 1, .fin = true, .block = late}));
  EXPECT_EQ(read(*stream), "");
  // The compression has not lost its way.
  EXPECT_EQ(open(3, {{"late", "yes"}})->headers().at("late"), "yes");
}

}  // namespace
}  // namespace berth::streaming::spdy
