// Clients that do not keep to the protocol.
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "spdy_fixture.hpp"

namespace berth::streaming::spdy {
namespace {

using boost::asio::buffer;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class SpdyHostileTest : public SpdyTest {
 protected:
  // `bytes` end the connection with a message that has `why` in it, and the client hears of it.
  void refuses(const std::vector<uint8_t>& bytes, std::string_view why,
               absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    SCOPED_TRACE(why);
    give(bytes);
    endInput();
    ASSERT_TRUE(until([&] { return ended->has_value(); }));
    EXPECT_EQ(result().code(), code) << result();
    EXPECT_THAT(result().ToString(), HasSubstr(std::string(why)));
    const auto sent = frames();
    ASSERT_FALSE(sent.empty());
    EXPECT_THAT(sent.back(), StartsWith("GOAWAY "));
    EXPECT_EQ(sent.back().back(), '1');
    EXPECT_TRUE(wire->closed);
  }
};

TEST_F(SpdyHostileTest, GarbageIsRefused) {
  begin();
  refuses(bytesOf("GET / HTTP/1.1\r\nHost: node\r\n\r\n"), "ended within a frame");
  begin();
  refuses(std::vector<uint8_t>(100000, 0), "stream 0");
  begin();
  refuses(std::vector<uint8_t>(100000, 0xff), "ended within a frame");  // an unknown frame
  begin();
  refuses(hex("80040001 0000000a 00000001 00000000 0000"), "has version 4");
}

TEST_F(SpdyHostileTest, StreamNumbersAreChecked) {
  begin();
  refuses(client->syn(2), "stream 2; its streams must have odd numbers");
  begin();
  refuses(client->syn(0), "stream 0; its streams must have odd numbers");
  begin();
  give(client->syn(5));
  refuses(client->syn(3), "stream 3 after stream 5");
}

TEST_F(SpdyHostileTest, AStreamThatIsOpenedTwiceIsReset) {
  begin();
  const auto stream = open(1);
  give(client->syn(1));
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 1 1"));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kInvalidArgument);
  give(client->syn(1));
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 1 1"));
  EXPECT_NE(open(3), nullptr);
}

TEST_F(SpdyHostileTest, StreamsNobodyOpenedAreNotAnswered) {
  begin();
  const auto block = client->block({});
  refuses(Client::frame(SynReply{.streamId = 2, .block = block}), "answered SPDY stream 2");
}

TEST_F(SpdyHostileTest, HeadersThatBreakTheRulesRefuseTheirStreamAlone) {
  begin();
  give(client->syn(1, {{"Upper", "case"}}));
  give(client->syn(3, {{"", "nameless"}}));
  Headers many;
  for (int i = 0; i < 65; ++i) many[std::to_string(i)] = "x";
  give(client->syn(5, many));
  EXPECT_THAT(frames(),
              testing::IsSupersetOf({"RST_STREAM 1 1", "RST_STREAM 3 1", "RST_STREAM 5 1"}));
  EXPECT_NE(open(7), nullptr);
}

TEST_F(SpdyHostileTest, AHeaderBombEndsTheConnection) {
  begin();
  HeaderDeflater deflater;
  const auto bomb = deflater.deflate(std::vector<uint8_t>(10u << 20, 0));
  ASSERT_LT(bomb->size(), Limits().controlFrame);
  refuses(Client::frame(SynStream{.streamId = 1, .block = *bomb}), "longer than 8192 bytes",
          absl::StatusCode::kResourceExhausted);
}

TEST_F(SpdyHostileTest, DamagedCompressionEndsTheConnection) {
  begin();
  const auto block = hex("deadbeef");
  refuses(Client::frame(SynStream{.streamId = 1, .block = block}), "damaged");
  begin();
  open(1);
  refuses(Client::frame(HeadersFrame{.streamId = 1, .block = block}), "damaged");
}

TEST_F(SpdyHostileTest, OversizedControlFramesEndTheConnection) {
  begin();
  refuses(hex("80030001 00004001"), "SYN_STREAM frame has 16385 bytes, at most 16384",
          absl::StatusCode::kResourceExhausted);
  begin();
  refuses(hex("80030004 00ffffff"), "SETTINGS frame has 16777215 bytes",
          absl::StatusCode::kResourceExhausted);
}

TEST_F(SpdyHostileTest, TheLongestDataFrameTakesNoMoreMemoryThanAnother) {
  begin();
  const auto stream = open(1);
  const size_t before = wire->consumed;
  give(Client::data(1, std::string(kMaxPayload, 'x')));
  EXPECT_LE(wire->consumed - before, Limits().streamWindow + (128u << 10));
  size_t size = 0;
  while (size < kMaxPayload) size += read(*stream).size();
  EXPECT_EQ(wire->consumed, wire->input.size());
}

TEST_F(SpdyHostileTest, UnknownFramesAreSkipped) {
  begin();
  std::vector<uint8_t> unknown = hex("80031234 00100000");
  unknown.resize(unknown.size() + 0x100000, 0xff);
  give(unknown);
  EXPECT_NE(open(1), nullptr);
}

TEST_F(SpdyHostileTest, AFloodOfStreamsIsRefused) {
  auto limits = quickLimits();
  limits.streams = 10;
  begin(limits);
  for (uint32_t i = 0; i < 1000; ++i) give(client->syn(2 * i + 1));
  const auto sent = frames();
  EXPECT_EQ(std::ranges::count_if(sent, [](const std::string& f) { return f.ends_with(" 3"); }),
            990);
  for (int i = 0; i < 10; ++i) EXPECT_NE(accept(), nullptr);
  EXPECT_FALSE(launch(connection->accept())->has_value());
  cancelLast();
  // Those that are accepted were dropped at once, so there is room again.
  EXPECT_NE(open(2001), nullptr);
}

TEST_F(SpdyHostileTest, StreamsThatAreResetBeforeTheyAreAcceptedLeaveNothing) {
  begin();
  for (uint32_t id = 1; id < 20001; id += 2) {
    give(client->syn(id));
    give(Client::frame(RstStream{.streamId = id, .code = ResetCode::cancel}));
  }
  EXPECT_FALSE(launch(connection->accept())->has_value());
}

TEST_F(SpdyHostileTest, UnidirectionalStreamsAreRefused) {
  begin();
  const auto block = client->block({});
  for (uint32_t id = 1; id < 101; id += 2) {
    give(Client::frame(SynStream{.streamId = id,
                                 .fin = true,
                                 .unidirectional = true,
                                 .block = id == 1 ? block : client->block({})}));
  }
  EXPECT_THAT(frames(), testing::IsSupersetOf({"RST_STREAM 1 3", "RST_STREAM 99 3"}));
  EXPECT_FALSE(launch(connection->accept())->has_value());
}

TEST_F(SpdyHostileTest, DataAfterTheEndOfAStream) {
  begin();
  const auto stream = open(1);
  give(Client::data(1, "end", Fin::yes));
  give(Client::data(1, "more"));
  EXPECT_THAT(frames(), ElementsAre("RST_STREAM 1 9"));
  EXPECT_EQ(readError(*stream).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(SpdyHostileTest, DataOnStreamsThatAreNotOpen) {
  begin();
  const auto stream = open(5);
  give(Client::data(7, "never opened"));
  give(Client::data(7, "once more"));
  give(Client::data(4, "not the client's"));
  stream->reset();
  poll();
  give(Client::data(5, "crossed the reset"));
  give(Client::data(5, "and again", Fin::yes));
  EXPECT_THAT(frames(),
              ElementsAre("RST_STREAM 7 2", "RST_STREAM 4 2", "RST_STREAM 5 5", "RST_STREAM 5 1"));
}

TEST_F(SpdyHostileTest, FramesForStreamsThatAreNotOpenAreIgnored) {
  begin();
  open(1)->reset();
  poll();
  frames();
  give(Client::frame(RstStream{.streamId = 1}));
  give(Client::frame(RstStream{.streamId = 77}));
  give(Client::frame(WindowUpdate{.streamId = 1, .delta = 5}));
  give(Client::frame(WindowUpdate{.streamId = 78, .delta = 0}));
  const auto block = client->block({{"x", "y"}});
  give(Client::frame(HeadersFrame{.streamId = 1, .fin = true, .block = block}));
  EXPECT_THAT(frames(), IsEmpty());
  EXPECT_FALSE(ended->has_value());
}

TEST_F(SpdyHostileTest, IllegalWindowsEndTheConnection) {
  begin();
  refuses(Client::frame(WindowUpdate{.streamId = 0, .delta = 0}), "cannot grow by 0");
  begin();
  refuses(Client::frame(WindowUpdate{.streamId = 0, .delta = kMaxWindow}),
          "cannot grow by 2147483647");
  begin();
  refuses(Client::frame(Settings{.entries = {{.id = kSettingInitialWindow, .value = 0x80000000}}}),
          "larger than the protocol allows");
}

// Plays `input` to a server that echoes every stream, and lets the client go.
class SpdyRecordedTest : public SpdyTest {
 protected:
  static Task<absl::Status> echo(std::shared_ptr<Stream> stream) {
    std::string text(1000, '\0');
    for (;;) {
      const auto size = co_await stream->read(buffer(text));
      if (!size.ok()) co_return size.status();
      if (*size == 0) break;
      const absl::Status written = co_await stream->write(buffer(text.data(), *size));
      if (!written.ok()) co_return written;
    }
    co_return co_await stream->closeWrite();
  }
  Task<absl::Status> serve() {
    for (;;) {
      auto stream = co_await connection->accept();
      if (!stream.ok()) co_return stream.status();
      boost::asio::co_spawn(context, echo(*std::move(stream)),
                            [](const std::exception_ptr&, const absl::Status&) {});
    }
  }
  absl::Status play(const std::vector<uint8_t>& input) {
    auto limits = quickLimits();
    limits.flush = limits.linger = std::chrono::milliseconds(1);
    begin(limits);
    const auto served = launch(serve());
    give(input);
    endInput();
    EXPECT_TRUE(until([&] { return ended->has_value(); }));
    EXPECT_TRUE(served->has_value());
    EXPECT_TRUE(wire->closed);
    return result();
  }
  static std::vector<uint8_t> recording() {
    std::vector<uint8_t> bytes;
    for (const std::string_view frame :
         {moby::kSynError, moby::kSynStdin, moby::kSynStdout, moby::kSynForward,
          moby::kSynTwoValues, moby::kData, moby::kPing, moby::kWindowUpdate, moby::kSettings,
          moby::kData, moby::kDataFin, moby::kReset, moby::kGoAway}) {
      bytes += hex(frame);
    }
    return bytes;
  }
};

TEST_F(SpdyRecordedTest, TheWholeRecording) {
  EXPECT_EQ(play(recording()), absl::OkStatus());
  frames();
  EXPECT_EQ(client->payloads[3], "hellohello");
}

TEST_F(SpdyRecordedTest, EveryTruncation) {
  const auto whole = recording();
  size_t orderly = 0;
  for (size_t size = 0; size < whole.size(); ++size) {
    const absl::Status status =
        play({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
    if (status.ok()) {
      ++orderly;
    } else {
      ASSERT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << size << ": " << status;
      ASSERT_THAT(frames(), Contains(testing::EndsWith(" 1"))) << size;
    }
  }
  EXPECT_EQ(orderly, 13u) << "nothing, and behind each frame but the last";
}

TEST_F(SpdyRecordedTest, Mutations) {
  const auto whole = recording();
  std::mt19937 random(20260101);
  size_t refused = 0;
  for (int round = 0; round < 3000; ++round) {
    auto bytes = whole;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      uint8_t& byte = bytes[random() % bytes.size()];
      byte = static_cast<uint8_t>(random() % 2 == 0 ? byte ^ (1u << (random() % 8)) : random());
    }
    const absl::Status status = play(bytes);
    if (!status.ok()) ++refused;
    ASSERT_TRUE(status.ok() || absl::IsInvalidArgument(status) || absl::IsResourceExhausted(status))
        << round << ": " << status;
  }
  EXPECT_GT(refused, 500u);
}

}  // namespace
}  // namespace berth::streaming::spdy
