// The server, with clients that keep to no rule.
#include <atomic>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ttrpc_peer.hpp"

namespace berth::kata::ttrpc {
namespace {

using namespace std::chrono_literals;
using test::connectTo;
using test::readFrom;
using test::sendTo;

struct Served {
  test::Folder folder;
  std::vector<Responder> kept;
  std::atomic<int> requests = 0;
  test::ServerThread server{
      folder / "s", [this](const Request& request, Responder responder) {
        ++requests;
        if (request.method == "Keep") return kept.push_back(responder);
        if (request.method == "Much") {
          return responder.answer({0, {}, std::string(size_t{kMaxData} + 1, 'x')});
        }
        responder.answer({0, {}, request.payload});
      }};

  support::Fd connect() { return connectTo(folder / "s"); }
};

std::string request(uint32_t stream, const std::string& method, uint8_t flags = 0) {
  return encodeFrame(stream, FrameType::kRequest, encode(Request{"s", method, "p"}), flags);
}

Response receive(const support::Fd& socket, uint32_t stream) {
  const FrameHeader header = decodeHeader(readFrom(socket, kHeaderSize));
  EXPECT_EQ(header.type, FrameType::kResponse);
  EXPECT_EQ(header.stream, stream);
  Response response;
  EXPECT_TRUE(decode(readFrom(socket, header.length), response));
  return response;
}

TEST(Server, AnswersInAnyOrder) {
  Served served;
  const support::Fd socket = served.connect();
  sendTo(socket, request(1, "Keep") + request(3, "Echo"));
  EXPECT_EQ(receive(socket, 3).payload, "p");
  served.server.run([&] {
    EXPECT_TRUE(served.kept.at(0).isWanted());
    served.kept.at(0).answer({0, {}, "late"});
  });
  EXPECT_EQ(receive(socket, 1).payload, "late");
}

TEST(Server, HangsUpOnWhoBreaksTheRules) {
  const std::string good = encode(Request{"s", "Echo", "p"});
  const std::string cases[] = {
      encodeFrame(2, FrameType::kRequest, good),        // even
      request(3, "Echo") + request(3, "Echo"),          // again
      request(3, "Echo") + request(1, "Echo"),          // back
      encodeFrame(1, FrameType::kResponse, good),       // not a client's
      encodeFrame(1, FrameType::kData, good),           // of no stream
      encodeFrame(1, static_cast<FrameType>(9), good),  // of no type
      encodeFrame(1, FrameType::kRequest, "\x0a\x7f"),  // no message
  };
  Served served;
  for (const std::string& bytes : cases) {
    const support::Fd socket = served.connect();
    // What follows is not looked at any more.
    const int before = served.requests;
    sendTo(socket, bytes + request(101, "Echo"));
    readFrom(socket);
    EXPECT_LE(served.requests - before, 1);
  }
  EXPECT_EQ(served.server.connections(), 0u);
  // Others are served all the same.
  const support::Fd socket = served.connect();
  sendTo(socket, request(1, "Echo"));
  EXPECT_EQ(receive(socket, 1).payload, "p");
}

TEST(Server, RefusesStreamsAndWhatIsTooLarge) {
  Served served;
  const support::Fd socket = served.connect();
  sendTo(socket, request(1, "Echo", kRemoteOpen) + encodeFrame(1, FrameType::kData, "more"));
  EXPECT_EQ(receive(socket, 1).code, static_cast<int>(streams::Code::kUnimplemented));
  sendTo(socket, encodeFrame(3, FrameType::kRequest, std::string(kMaxData + 1, 'x')));
  EXPECT_EQ(receive(socket, 3).code, static_cast<int>(streams::Code::kResourceExhausted));
  sendTo(socket, request(5, "Much"));
  EXPECT_EQ(receive(socket, 5).code, static_cast<int>(streams::Code::kResourceExhausted));
  sendTo(socket, request(7, "Echo"));
  EXPECT_EQ(receive(socket, 7).payload, "p");
}

TEST(Server, KnowsThatNobodyWaitsAnyMore) {
  Served served;
  support::Fd socket = served.connect();
  sendTo(socket, request(1, "Keep") + request(3, "Echo"));
  receive(socket, 3);
  socket.reset();
  while (served.server.connections() > 0) std::this_thread::yield();
  served.server.run([&] {
    EXPECT_FALSE(served.kept.at(0).isWanted());
    served.kept.at(0).answer({0, {}, "for nobody"});
  });
}

}  // namespace
}  // namespace berth::kata::ttrpc
