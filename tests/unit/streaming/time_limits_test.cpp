// Who is let go of because of the time. The server's own clock says when: the tests wait for what
// it does, and compare with sessions that began at the same time.
#include <poll.h>
#include <thread>

#include "server_fixture.hpp"
#include "websocket_client.hpp"

namespace berth::streaming {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;
using namespace std::string_literals;

class TimeLimitsTest : public ServerTest {
 protected:
  // A command's session over SPDY with input and output.
  void begin(SocketClient& client) {
    runtime::v1::ExecRequest request = command();
    request.set_stdin(true);
    ASSERT_THAT(client.upgrade(server->execUrl(request).value_or(""), "v4.channel.k8s.io"),
                StartsWith("HTTP/1.1 101"));
    client.send(client.spdy.syn(1, {{"streamtype", "error"}}));
    client.send(client.spdy.syn(3, {{"streamtype", "stdin"}}));
    client.send(client.spdy.syn(5, {{"streamtype", "stdout"}}));
    client.framesUntil("SYN_REPLY 5");
  }
  void begin(WebSocketClient& client, const std::string& protocol) {
    ASSERT_THAT(client.open(server->execUrl(command()).value_or(""), protocol),
                StartsWith("HTTP/1.1 101"));
    client.next();
  }
  static bool readable(const SocketClient& client, std::chrono::milliseconds patience) {
    pollfd waiting{.fd = client.fd(), .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(patience.count())) == 1;
  }
};

TEST_F(TimeLimitsTest, SessionsWithoutTrafficEndAndOthersGoOn) {
  start({.idleTimeout = 2s});
  TestCommand busyCommand;
  TestCommand silentCommand;
  TestCommand pingedCommand;
  TestCommand webSocketCommand;
  runCommands({&busyCommand, &silentCommand, &pingedCommand, &webSocketCommand});
  SocketClient busy(server->port());
  begin(busy);
  busyCommand.waitUntilItRuns();
  // One byte each way, again and again, until those who began later have ended.
  int trickled = 0;
  std::jthread trickle([&](const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      busy.send(spdy::Client::data(3, "x"));
      EXPECT_EQ(busyCommand.read(1), "x");
      ++trickled;
      std::this_thread::sleep_for(20ms);  // as slowly as that
    }
  });
  SocketClient silent(server->port());
  begin(silent);
  silentCommand.waitUntilItRuns();
  SocketClient pinged(server->port());
  begin(pinged);
  pingedCommand.waitUntilItRuns();
  WebSocketClient webSocket(server->port());
  begin(webSocket, "v4.channel.k8s.io");
  webSocketCommand.waitUntilItRuns();

  // Signs of life are no traffic.
  for (uint32_t id = 1; !readable(silent, 20ms); id += 2) {
    pinged.send(spdy::Client::frame(spdy::Ping{.id = id}));
  }
  silent.framesUntil("DATA 1 0 FIN");
  EXPECT_THAT(silent.spdy.payloads[1],
              AllOf(HasSubstr("Failure"), HasSubstr("nothing was sent or received for 2 s")));
  EXPECT_TRUE(silentCommand.isCancelled());

  EXPECT_THAT(pinged.framesUntil("DATA 1 0 FIN"), testing::Contains("PING 1"));
  EXPECT_THAT(pinged.spdy.payloads[1], HasSubstr("nothing was sent or received"));
  EXPECT_TRUE(pingedCommand.isCancelled());
  EXPECT_THAT(webSocket.next().payload, AllOf(StartsWith("\3"), HasSubstr("nothing was sent")));
  EXPECT_EQ(webSocket.next().closeCode(), 1000);

  trickle.request_stop();
  trickle.join();
  EXPECT_GT(trickled, 0);
  busyCommand.write("on");
  busyCommand.exit(0);
  busy.framesUntil("DATA 1 0 FIN");
  EXPECT_EQ(busy.spdy.payloads[5], "on");
  EXPECT_THAT(busy.spdy.payloads[1], HasSubstr("Success"));
}

TEST_F(TimeLimitsTest, ForwardedPortsWithoutTrafficEndToo) {
  start({.idleTimeout = 1s});
  SocketClient client(server->port());
  client.upgrade(portForwardUrl(), "portforward.k8s.io");
  client.framesUntil("GOAWAY 0 0");
}

// All of them at once, so that they take one time-out together.
TEST_F(TimeLimitsTest, WhoDoesNotFinishTheHandshakeIsLetGo) {
  start({.handshakeTimeout = 3s});  // each client's own steps are well within that
  TestCommand never;
  runCommands({&never});
  SocketClient saysNothing(server->port());
  SocketClient saysHalf(server->port());
  saysHalf.send("GET /exec/token HTTP/1.1\r\nHost: no");

  SocketClient opensNothing(server->port());
  opensNothing.upgrade(server->execUrl(command()).value_or(""), "v4.channel.k8s.io");
  SocketClient opensNoOutput(server->port());
  opensNoOutput.upgrade(server->execUrl(command()).value_or(""), "v4.channel.k8s.io");
  opensNoOutput.send(opensNoOutput.spdy.syn(1, {{"streamtype", "error"}}));

  SocketClient opensHalfAPair(server->port());
  opensHalfAPair.upgrade(portForwardUrl(), "portforward.k8s.io");
  opensHalfAPair.send(
      opensHalfAPair.spdy.syn(1, {{"streamtype", "error"}, {"port", "80"}, {"requestid", "0"}}));

  EXPECT_EQ(saysNothing.receiveAll(), "");
  EXPECT_EQ(saysHalf.receiveAll(), "");
  opensNothing.framesUntil("GOAWAY 0 0");
  opensNoOutput.framesUntil("DATA 1 0 FIN");
  EXPECT_THAT(opensNoOutput.spdy.payloads[1],
              HasSubstr("has not opened all streams in 3 s: missing stdout"));
  opensHalfAPair.framesUntil("DATA 1 0 FIN");
  EXPECT_THAT(opensHalfAPair.spdy.payloads[1], HasSubstr("got no data stream in time"));
  // That one was no matter of the connection: it can be used on.
  opensHalfAPair.send(spdy::Client::frame(spdy::Ping{.id = 1}));
  opensHalfAPair.framesUntil("PING 1");
}

}  // namespace
}  // namespace berth::streaming
