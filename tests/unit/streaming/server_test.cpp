// The streaming server as a whole: who gets in, and what a shortage costs.
#include <list>

#include "../no_more_threads.hpp"
#include "server_fixture.hpp"

namespace berth::streaming {
namespace {

using testing::HasSubstr;
using testing_support::NoMoreThreads;
using namespace std::chrono_literals;

TEST_F(ServerTest, ACommandEndsWithItsStatus) {
  start();
  endCommandsAtOnce();
  SocketClient client(server->port());
  EXPECT_THAT(exec(client, server->execUrl(command()).value_or("")), HasSubstr("Success"));
}

// Everybody who reaches the port can connect and say nothing.
TEST_F(ServerTest, SilentConnectionsKeepNobodyOut) {
  // Nobody is let go of because of the time.
  start({.handshakeTimeout = 1h, .maxSessions = 2});
  endCommandsAtOnce();
  const std::string url = server->execUrl(command()).value_or("");
  std::list<SocketClient> silent;
  for (int i = 0; i < 400; ++i) silent.emplace_back(server->port());
  SocketClient client(server->port());
  EXPECT_THAT(exec(client, url), HasSubstr("Success"));
  // The oldest had to go.
  char byte = 0;
  EXPECT_EQ(::recv(silent.front().fd(), &byte, 1, 0), 0);
}

TEST_F(ServerTest, SessionsAreNoStrangers) {
  start({.handshakeTimeout = 1h, .maxSessions = 2});
  endCommandsAtOnce();
  SocketClient session(server->port());
  session.upgrade(portForwardUrl(), "portforward.k8s.io");
  session.send(spdy::Client::frame(spdy::Ping{.id = 1}));
  session.framesUntil("PING 1");
  std::list<SocketClient> silent;
  for (int i = 0; i < 400; ++i) silent.emplace_back(server->port());
  SocketClient client(server->port());
  EXPECT_THAT(exec(client, server->execUrl(command()).value_or("")), HasSubstr("Success"));
  session.send(spdy::Client::frame(spdy::Ping{.id = 3}));
  session.framesUntil("PING 3");
}

TEST_F(ServerTest, WithoutAThreadThereIsNoUrlAndTheNextCallTriesAgain) {
  start();
  endCommandsAtOnce();
  {
    const NoMoreThreads shortage;
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(absl::IsResourceExhausted(server->execUrl(command()).status()));
    }
  }
  for (int i = 0; i < 2; ++i) {
    SocketClient client(server->port());
    EXPECT_THAT(exec(client, server->execUrl(command()).value_or("")), HasSubstr("Success"));
  }
}

TEST_F(ServerTest, WithoutAThreadForItACommandIsRefusedAndTheServerGoesOn) {
  start();
  endCommandsAtOnce();
  const std::string first = server->execUrl(command()).value_or("");
  {
    const NoMoreThreads shortage;
    SocketClient client(server->port());
    const std::string status = exec(client, first);
    EXPECT_THAT(status, HasSubstr("Failure"));
    EXPECT_THAT(status, HasSubstr("start a thread"));
  }
  SocketClient client(server->port());
  EXPECT_THAT(exec(client, server->execUrl(command()).value_or("")), HasSubstr("Success"));
}

}  // namespace
}  // namespace berth::streaming
