// What is answered to clients that are not served, on the socket.

#include "server_fixture.hpp"
#include "websocket_client.hpp"

namespace berth::streaming {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class RefusalsTest : public ServerTest {
 protected:
  void SetUp() override {
    start();
    endCommandsAtOnce();
    url = server->execUrl(command()).value_or("");
  }
  // The whole answer; the server ends the connection after it.
  std::string answerTo(const std::string& request) {
    SocketClient client(server->port());
    client.send(request);
    return client.receiveAll();
  }
  std::string spdyRequest(const std::string& method, const std::string& version,
                          const std::string& more = "") const {
    return support::strCat(method, " ", SocketClient::targetOf(url), " HTTP/", version,
                           "\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n", more,
                           "\r\n");
  }
  // Nothing that was refused has used the URL up.
  void TearDown() override {
    SocketClient client(server->port());
    EXPECT_THAT(exec(client, url), HasSubstr("Success"));
  }

  std::string url;
};

TEST_F(RefusalsTest, WhatIsNoHttp) {
  for (const char* garbage : {"\r\n\r\n\r\n\r\nhello\r\n\r\n", "GET\r\n\r\n", "\x16\x03\x01\x02",
                              "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nbad header\r\n\r\n"}) {
    EXPECT_THAT(answerTo(garbage),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("Connection: close\r\n"),
                      HasSubstr("this is no HTTP request")))
        << garbage;
  }
}

TEST_F(RefusalsTest, HeadersThatAreTooLong) {
  const std::string line = "X-Long: " + std::string(1000, 'x') + "\r\n";
  std::string lines;
  for (int i = 0; i < 17; ++i) lines += line;
  EXPECT_THAT(answerTo(spdyRequest("POST", "1.1", lines)), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answerTo("GET /" + std::string(17 << 10, 'x')), StartsWith("HTTP/1.1 431 "));
}

TEST_F(RefusalsTest, OtherMethods) {
  EXPECT_THAT(answerTo(spdyRequest("PUT", "1.1")),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, POST\r\n")));
}

TEST_F(RefusalsTest, Http10) {
  EXPECT_THAT(answerTo(spdyRequest("POST", "1.0")), StartsWith("HTTP/1.1 426 "));
}

TEST_F(RefusalsTest, BodiesAndWhatComesTooEarly) {
  EXPECT_THAT(answerTo(spdyRequest("POST", "1.1", "Content-Length: 4\r\n") + "body"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answerTo(spdyRequest("POST", "1.1") + "early"),
              AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("before the connection was upgraded")));
}

TEST_F(RefusalsTest, UnknownVersions) {
  const std::string answer =
      answerTo(spdyRequest("POST", "1.1", "X-Stream-Protocol-Version: v9.channel.k8s.io\r\n"));
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 403 "),
                            HasSubstr("X-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io\r\n"),
                            HasSubstr("X-Accepted-Stream-Protocol-Versions: channel.k8s.io\r\n")));
  EXPECT_THAT(answerTo(WebSocketClient::handshake(url, "v9.channel.k8s.io")),
              StartsWith("HTTP/1.1 400 "));
}

TEST_F(RefusalsTest, AddressesThatAreNotThere) {
  EXPECT_THAT(answerTo("GET / HTTP/1.1\r\nHost: node\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(ServerTest, AUrlAdmitsOneConnection) {
  start();
  endCommandsAtOnce();
  const std::string url = server->execUrl(command()).value_or("");
  SocketClient first(server->port());
  EXPECT_THAT(exec(first, url), HasSubstr("Success"));
  SocketClient second(server->port());
  EXPECT_THAT(second.upgrade(url, "v4.channel.k8s.io"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(ServerTest, OfManyWhoComeAtOnceOneIsAdmitted) {
  constexpr int kClients = 8;
  start();
  for (int round = 0; round < 20; ++round) {
    const std::string url = portForwardUrl();
    std::deque<SocketClient> clients;
    for (int i = 0; i < kClients; ++i) clients.emplace_back(server->port());
    for (SocketClient& client : clients) {
      client.send(SocketClient::upgradeRequest(url, "portforward.k8s.io"));
    }
    std::map<std::string, int> answers;
    for (SocketClient& client : clients) ++answers[client.receiveHead().substr(0, 12)];
    EXPECT_THAT(answers,
                testing::UnorderedElementsAre(testing::Pair("HTTP/1.1 101", 1),
                                              testing::Pair("HTTP/1.1 404", kClients - 1)));
  }
}

TEST_F(ServerTest, SessionsAreBounded) {
  start({.maxSessions = 1});
  endCommandsAtOnce();
  const std::string url = server->execUrl(command()).value_or("");
  {
    SocketClient session(server->port());
    session.upgrade(portForwardUrl(), "portforward.k8s.io");
    SocketClient other(server->port());
    EXPECT_THAT(other.upgrade(url, "v4.channel.k8s.io"),
                AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: ")));
    // It is over once the server has said so.
    session.send(spdy::Client::frame(spdy::GoAway{}));
    session.receiveAll();
  }
  // Being refused has not used the URL up.
  SocketClient client(server->port());
  EXPECT_THAT(exec(client, url), HasSubstr("Success"));
}

// RFC 9110, 5.3: the lines of a header that is a list are one list.
TEST_F(RefusalsTest, HeadersMayHaveSeveralLines) {
  SocketClient client(server->port());
  client.send(
      support::strCat("GET ", SocketClient::targetOf(server->execUrl(command()).value_or("")),
                      " HTTP/1.1\r\nHost: node\r\nConnection: keep-alive\r\nConnection: Upgrade\r\n"
                      "Upgrade: h2c\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"));
  EXPECT_THAT(client.receiveHead(), StartsWith("HTTP/1.1 101"));
}

}  // namespace
}  // namespace berth::streaming
