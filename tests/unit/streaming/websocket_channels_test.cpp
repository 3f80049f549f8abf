// The channels of Kubernetes in WebSocket messages, as their clients drive them and as they should
// not.
#include <map>
#include <mutex>

#include "server_fixture.hpp"
#include "streaming/base64.hpp"
#include "websocket_client.hpp"

namespace berth::streaming {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Socket = WebSocketClient;
using Frame = WebSocketClient::Frame;
using namespace std::string_literals;

enum Channel : uint8_t { kStdin, kStdout, kStderr, kError, kResize };

Frame on(uint8_t channel, std::string_view text) {
  return {Socket::kBinary, support::strCat(std::string(1, static_cast<char>(channel)), text)};
}

class WebSocketChannelsTest : public ServerTest {
 protected:
  // What the backend uses stands here: the server goes first.
  void TearDown() override {
    client.reset();
    server.reset();
  }
  static runtime::v1::ExecRequest interactive() {
    runtime::v1::ExecRequest request = ServerTest::command();
    request.set_stdin(true);
    return request;
  }
  // The command runs and the client has the greeting that says so.
  void exec(const std::string& protocol, const runtime::v1::ExecRequest& request = interactive()) {
    if (server == nullptr) start();
    runCommands({&command});
    client = std::make_unique<Socket>(server->port());
    const std::string head = client->open(server->execUrl(request).value_or(""), protocol);
    ASSERT_THAT(head, StartsWith("HTTP/1.1 101"));
    if (!protocol.empty()) {
      EXPECT_THAT(head, HasSubstr("Sec-WebSocket-Protocol: " + protocol + "\r\n"));
    }
    EXPECT_EQ(client->next().payload.size(), 1u);
    command.waitUntilItRuns();
  }
  // The server's next frame says goodbye with this code; the client leaves, and that is the end.
  void expectGoodbye(uint16_t code) {
    EXPECT_EQ(client->next().closeCode(), code);
    client.reset();
    EXPECT_TRUE(command.isCancelled());
  }
  // How the server ends a command's session.
  void expectEnd(const std::string& status) {
    EXPECT_THAT(client->next().payload, testing::AllOf(StartsWith("\3"), HasSubstr(status)));
    EXPECT_EQ(client->next().closeCode(), 1000);
    client->frame(Socket::kClose, "\3\xe8"s);
    EXPECT_EQ(client->receiveAll(), "");
  }

  TestCommand command;
  std::unique_ptr<Socket> client;
};

TEST_F(WebSocketChannelsTest, ACommandHasItsStreamsAndItsCode) {
  runtime::v1::ExecRequest request = interactive();
  request.set_stderr(true);
  exec("v4.channel.k8s.io", request);
  client->message(kStdin, "in");
  EXPECT_EQ(command.read(2), "in");
  command.write("out");
  EXPECT_EQ(client->next(), on(kStdout, "out"));
  command.writeError("bad");
  EXPECT_EQ(client->next(), on(kStderr, "bad"));
  command.exit(3);
  expectEnd(R"("message":"3")");
}

TEST_F(WebSocketChannelsTest, InV5ASignalEndsTheInputAndNothingElse) {
  exec("v5.channel.k8s.io");
  client->message(kStdin, "last");
  client->message(255, "\0"s);
  EXPECT_EQ(command.read(100), "last");
  // What comes after the end is dropped.
  client->message(kStdin, "too late");
  command.write("answer");
  EXPECT_EQ(client->next(), on(kStdout, "answer"));
  command.exit(0);
  expectEnd("Success");
}

TEST_F(WebSocketChannelsTest, InV5TheInputThatIsDoneAndLeftOpenKeepsNothingFromEnding) {
  exec("v5.channel.k8s.io");
  command.exit(0);
  expectEnd("Success");
}

TEST_F(WebSocketChannelsTest, BeforeV5TheSignalIsAChannelThatIsNotThere) {
  exec("v4.channel.k8s.io");
  client->message(255, "\0"s);
  client->message(kStdin, "still open");
  EXPECT_EQ(command.read(10), "still open");
}

TEST_F(WebSocketChannelsTest, ASignalHasToNameOneChannel) {
  for (const std::string& named : {""s, "\0\0"s, "\7"s, "\xff"s}) {
    command = TestCommand();
    exec("v5.channel.k8s.io");
    client->message(255, named);
    SCOPED_TRACE(testing::PrintToString(named));
    expectGoodbye(1002);
  }
}

TEST_F(WebSocketChannelsTest, WhatComesInPiecesIsOneMessage) {
  exec("v5.channel.k8s.io");
  // An empty beginning; the channel's number comes later, alone; a ping between them.
  client->frame(Socket::kBinaryBegins, "");
  client->frame(Socket::kGoesOn, "\0"s);
  client->frame(Socket::kPing, "there?");
  client->frame(Socket::kGoesOn, "one, ");
  client->frame(Socket::kGoesOn, "");
  client->frame(Socket::kEnds, "two");
  EXPECT_EQ(command.read(8), "one, two");
  EXPECT_EQ(client->next(), (Frame{Socket::kPong, "there?"}));
  // The signal too.
  client->frame(Socket::kBinaryBegins, "\xff");
  client->frame(Socket::kEnds, "\0"s);
  EXPECT_EQ(command.read(1), "");
}

TEST_F(WebSocketChannelsTest, EmptyMessagesAndUnknownChannelsMeanNothing) {
  exec("v4.channel.k8s.io");
  client->frame(Socket::kBinary, "");
  client->message(kStdin, "");
  client->message(kStdout, "not the client's");
  client->message(kError, "not the client's");
  client->message(kResize, "there is no terminal");
  client->message(99, "nobody's");
  client->message(kStdin, "x");
  EXPECT_EQ(command.read(1), "x");
}

// Kubernetes' own servers do not look at the kind either.
TEST_F(WebSocketChannelsTest, TextIsTakenWhereBytesAreExpected) {
  exec("v4.channel.k8s.io");
  client->frame(Socket::kText, "\0text"s);
  EXPECT_EQ(command.read(4), "text");
}

TEST_F(WebSocketChannelsTest, TextThatIsNoneEndsTheSession) {
  exec("v4.channel.k8s.io");
  client->frame(Socket::kText, "\0\xff\xfe"s);
  expectGoodbye(1007);
}

TEST_F(WebSocketChannelsTest, Base64GoesBothWays) {
  exec("v4.base64.channel.k8s.io");
  client->frame(Socket::kText, "0" + encodeBase64("\0in\xff"s));
  EXPECT_EQ(command.read(4), "\0in\xff"s);
  // In pieces that no group of four fits.
  client->frame(Socket::kTextBegins, "0YW");
  client->frame(Socket::kGoesOn, "5k");
  client->frame(Socket::kEnds, "IG9uCg==");
  EXPECT_EQ(command.read(7), "and on\n");

  const std::string much(100000, '\xfe');
  command.write(much);
  std::string got;
  while (got.size() < much.size()) {
    const Frame frame = client->next();
    ASSERT_EQ(frame.first, Socket::kText);
    ASSERT_EQ(frame.payload.front(), '1');
    Base64Decoder decoder;
    const auto plain = decoder.feed(frame.payload.substr(1), true);
    ASSERT_TRUE(plain.ok()) << plain.status();
    ASSERT_FALSE(plain->empty());
    got += *plain;
  }
  EXPECT_EQ(got, much);
  command.exit(0);
  const Frame status = client->next();
  EXPECT_EQ(status.payload.front(), '3');
  EXPECT_EQ(Base64Decoder().feed(status.payload.substr(1), true).value_or(""),
            R"({"metadata":{},"status":"Success"})");
}

TEST_F(WebSocketChannelsTest, WhatIsNoBase64EndsTheSession) {
  for (const char* text : {"0****", "0YQ", "0YQ==YQ==", "0Y Q="}) {
    command = TestCommand();
    exec("base64.channel.k8s.io");
    client->frame(Socket::kText, text);
    SCOPED_TRACE(text);
    expectGoodbye(1007);
  }
}

TEST_F(WebSocketChannelsTest, AMessageOfTooManyBytesIsRefused) {
  constexpr uint64_t kMost = 32u << 20;
  for (const bool pieces : {false, true}) {
    command = TestCommand();
    exec("v4.channel.k8s.io");
    // What a header says is enough: nobody sends it all.
    if (pieces) {
      client->frame(Socket::kBinaryBegins, "\0x"s);
      EXPECT_EQ(command.read(1), "x");
      client->send(Socket::header(Socket::kEnds, kMost - 1, 0x80) + "mask");
    } else {
      client->send(Socket::header(Socket::kBinary, kMost + 1, 0x80) + "mask");
    }
    expectGoodbye(1009);
  }
}

TEST_F(WebSocketChannelsTest, FramesThatBreakTheProtocolEndTheSession) {
  const std::string breaches[] = {
      Socket::header(Socket::kBinary, 2, 0) + "\0x"s,              // not masked
      Socket::header(Socket::kEnds, 0, 0x80) + "mask",             // continues nothing
      Socket::header(Socket::kPing, 200, 0x80) + "mask",           // a control frame too long
      Socket::header(Socket::kBinary | 0x40, 0, 0x80) + "mask",    // a bit of no extension
      Socket::header(0x83, 0, 0x80) + "mask",                      // a kind that there is not
      Socket::header(Socket::kBinaryBegins, 0, 0x80) + "mask" +    // a message
          Socket::header(Socket::kBinaryBegins, 0, 0x80) + "mask"  // within another
  };
  for (const std::string& breach : breaches) {
    command = TestCommand();
    exec("v5.channel.k8s.io");
    client->send(breach);
    SCOPED_TRACE(testing::PrintToString(breach));
    expectGoodbye(1002);
  }
}

TEST_F(WebSocketChannelsTest, TheCommandEndsWithTheClientsGoodbye) {
  exec("v5.channel.k8s.io");
  client->frame(Socket::kClose, "\3\xe8"s);
  EXPECT_EQ(client->next().closeCode(), 1000);
  EXPECT_EQ(client->receiveAll(), "");
  EXPECT_TRUE(command.isCancelled());
}

TEST_F(WebSocketChannelsTest, TheCommandEndsWithTheClientsConnection) {
  exec("v5.channel.k8s.io");
  client.reset();
  EXPECT_TRUE(command.isCancelled());
}

TEST_F(WebSocketChannelsTest, AClientThatDoesNotAnswerTheGoodbyeHoldsNothingUp) {
  exec("v5.channel.k8s.io");
  command.exit(0);
  EXPECT_THAT(client->next().payload, HasSubstr("Success"));
  EXPECT_EQ(client->next().closeCode(), 1000);
  EXPECT_EQ(client->receiveAll(), "");
}

TEST_F(WebSocketChannelsTest, ATerminalFollowsTheClientsSize) {
  runtime::v1::ExecRequest request = interactive();
  request.set_tty(true);
  exec("v5.channel.k8s.io", request);
  client->message(kResize, R"({"Width":80,"Height":24})");
  EXPECT_EQ(command.sizes(1).back().columns, 80);
  client->frame(Socket::kBinaryBegins, "\4{\"Width\":132,");
  client->frame(Socket::kEnds, R"("Height":50})");
  EXPECT_EQ(command.sizes(2).back().rows, 50);
}

TEST_F(WebSocketChannelsTest, WithoutAProtocolTheFirstVersionIsMeant) {
  exec("");
  command.write("out");
  EXPECT_EQ(client->next(), on(kStdout, "out"));
  command.exit(4);
  // Text, not yet a status object.
  EXPECT_EQ(client->next(), on(kError, "command terminated with exit code 4"));
}

class WebSocketPortsTest : public WebSocketChannelsTest {
 protected:
  void forward(const std::vector<int>& ports, const std::string& protocol,
               const std::string& query = "") {
    start();
    backend.onConnect = [this](uint16_t port) -> absl::StatusOr<support::Fd> {
      std::lock_guard lock(mutex);
      const auto found = pods.find(port);
      if (found == pods.end()) return absl::UnavailableError("nobody listens");
      return std::move(found->second);
    };
    runtime::v1::PortForwardRequest request;
    request.set_pod_sandbox_id("pod");
    for (const int port : ports) request.add_port(port);
    client = std::make_unique<Socket>(server->port());
    EXPECT_THAT(client->open(server->portForwardUrl(request).value_or("") + query, protocol),
                StartsWith("HTTP/1.1 101"));
  }
  // The pod's end of a connection to the port.
  support::Fd listenAt(uint16_t port) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    const timeval patience{20, 0};
    ::setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::lock_guard lock(mutex);
    pods[port] = support::Fd(ends[0]);
    return support::Fd(ends[1]);
  }
  static std::string read(const support::Fd& pod, size_t size) {
    std::string text(size, '\0');
    const ssize_t count = ::recv(pod.get(), text.data(), size, MSG_WAITALL);
    text.resize(count < 0 ? 0 : static_cast<size_t>(count));
    return text;
  }
  static void write(const support::Fd& pod, std::string_view text) {
    EXPECT_EQ(::send(pod.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }

  std::mutex mutex;
  std::map<uint16_t, support::Fd> pods;
};

TEST_F(WebSocketPortsTest, EachPortHasTwoChannelsThatSayItsNumberFirst) {
  const support::Fd http = listenAt(80);
  const support::Fd other = listenAt(0x1234);
  forward({80, 0x1234}, "v4.channel.k8s.io");
  EXPECT_EQ(client->next(), on(0, "\x50\0"s));
  EXPECT_EQ(client->next(), on(1, "\x50\0"s));
  EXPECT_EQ(client->next(), on(2, "\x34\x12"s));
  EXPECT_EQ(client->next(), on(3, "\x34\x12"s));
  client->message(2, "to the other");
  client->message(0, "to the first");
  EXPECT_EQ(read(http, 12), "to the first");
  EXPECT_EQ(read(other, 12), "to the other");
  write(other, "answer");
  EXPECT_EQ(client->next(), on(2, "answer"));
}

// Clients take the first two bytes of each channel for the number.
TEST_F(WebSocketPortsTest, PodsThatSpeakAtOnceDoNotSpeakBeforeTheNumber) {
  constexpr int kPorts = 100;
  std::vector<int> ports;
  std::vector<support::Fd> speakers;
  for (int port = 1; port <= kPorts; ++port) {
    ports.push_back(port);
    // Each other one is not there: that is said at once, too.
    if (port % 2 == 0) continue;
    speakers.push_back(listenAt(static_cast<uint16_t>(port)));
    write(speakers.back(), "hello");
  }
  forward(ports, "v4.channel.k8s.io");
  for (uint8_t channel = 0; channel < 2 * kPorts; ++channel) {
    const std::string number = {static_cast<char>(channel / 2 + 1), '\0'};
    EXPECT_EQ(client->next(), on(channel, number));
  }
}

TEST_F(WebSocketPortsTest, ItEndsWhenAllPodsHaveEnded) {
  support::Fd one = listenAt(80);
  support::Fd two = listenAt(81);
  forward({80, 81}, "v4.channel.k8s.io");
  for (int i = 0; i < 4; ++i) client->next();
  one.reset();
  write(two, "still there");
  EXPECT_EQ(client->next(), on(2, "still there"));
  two.reset();
  EXPECT_EQ(client->next().closeCode(), 1000);
}

TEST_F(WebSocketPortsTest, WhoIsNotThereIsToldOnTheErrorChannel) {
  const support::Fd pod = listenAt(81);
  forward({80, 81}, "v4.channel.k8s.io");
  for (int i = 0; i < 4; ++i) client->next();
  const Frame error = client->next();
  EXPECT_THAT(error.payload, testing::AllOf(StartsWith("\1"), HasSubstr("nobody listens")));
  // The other port goes on.
  write(pod, "on");
  EXPECT_EQ(client->next(), on(2, "on"));
}

TEST_F(WebSocketPortsTest, Base64HasDigitsForChannels) {
  const support::Fd pod = listenAt(80);
  forward({80}, "v4.base64.channel.k8s.io");
  EXPECT_EQ(client->next(), (Frame{Socket::kText, "0" + encodeBase64("\x50\0"s)}));
  EXPECT_EQ(client->next(), (Frame{Socket::kText, "1" + encodeBase64("\x50\0"s)}));
  client->frame(Socket::kText, "0" + encodeBase64("ask"));
  EXPECT_EQ(read(pod, 3), "ask");
}

TEST_F(WebSocketPortsTest, TheUrlMayNameThePorts) {
  const support::Fd one = listenAt(80);
  const support::Fd two = listenAt(81);
  forward({}, "v4.channel.k8s.io", "?port=80,81");
  for (int i = 0; i < 3; ++i) client->next();
  EXPECT_EQ(client->next(), on(3, "\x51\0"s));
}

}  // namespace
}  // namespace berth::streaming
