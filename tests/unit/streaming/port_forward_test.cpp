// Port-forward over SPDY, as its clients drive it and as they should not.
#include <condition_variable>
#include <mutex>

#include "server_fixture.hpp"

namespace berth::streaming {
namespace {

using spdy::Client;
using spdy::Fin;
using testing::Contains;
using testing::Not;

constexpr uint32_t kMostForwards = 512;

class PortForwardTest : public ServerTest {
 protected:
  void SetUp() override {
    start();
    // The pod's side is served by the test, at its other end of a pair of sockets.
    backend.onConnect = [this](uint16_t) -> absl::StatusOr<support::Fd> {
      std::unique_lock lock(mutex);
      ++connects;
      changed.notify_all();
      changed.wait(lock, [this] { return !hold; });
      int ends[2];
      if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        return absl::InternalError("socketpair");
      }
      pods.emplace_back(ends[1]);
      changed.notify_all();
      return support::Fd(ends[0]);
    };
  }
  void TearDown() override {
    release();
    client.reset();
    server.reset();
  }
  void release() {
    std::lock_guard lock(mutex);
    hold = false;
    changed.notify_all();
  }
  void connectClient() {
    client = std::make_unique<SocketClient>(server->port());
    EXPECT_THAT(client->upgrade(portForwardUrl(), "portforward.k8s.io"),
                testing::StartsWith("HTTP/1.1 101"));
  }
  std::vector<uint8_t> syn(uint32_t id, const char* type, uint32_t request) {
    return client->spdy.syn(
        id, {{"streamtype", type}, {"port", "80"}, {"requestid", std::to_string(request)}});
  }
  // And waits until the session has it: what is reset before that never gets so far.
  void open(uint32_t id, const char* type, uint32_t request) {
    client->send(syn(id, type, request));
    client->framesUntil(support::strCat("SYN_REPLY ", id));
  }
  static std::vector<uint8_t> reset(uint32_t id) {
    return Client::frame(spdy::RstStream{.streamId = id, .code = spdy::ResetCode::cancel});
  }
  // The pod's end of the first connection.
  int pod() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return !pods.empty(); });
    return pods.front().get();
  }

  std::unique_ptr<SocketClient> client;
  std::mutex mutex;
  std::condition_variable changed;
  bool hold = false;
  int connects = 0;
  std::vector<support::Fd> pods;
};

TEST_F(PortForwardTest, BytesGoBothWays) {
  connectClient();
  client->send(syn(1, "error", 0));
  client->send(syn(3, "data", 0));
  client->send(Client::data(3, "ask"));
  char text[3];
  ASSERT_EQ(::recv(pod(), text, 3, MSG_WAITALL), 3);
  ASSERT_EQ(::send(pod(), "answer", 6, MSG_NOSIGNAL), 6);
  client->framesUntil("DATA 3 6");
  EXPECT_EQ(client->spdy.payloads[3], "answer");
}

// A client which waits for the error stream's end before it lets go of its own side of the data.
TEST_F(PortForwardTest, TheErrorStreamEndsWithThePodsData) {
  connectClient();
  client->send(syn(1, "error", 0));
  client->send(syn(3, "data", 0));
  EXPECT_EQ(::send(pod(), "all", 3, MSG_NOSIGNAL), 3);
  ::shutdown(pod(), SHUT_WR);
  EXPECT_THAT(client->framesUntil("DATA 1 0 FIN"), Contains("DATA 3 0 FIN"));
  EXPECT_EQ(client->spdy.payloads[3], "all") << client->spdy.payloads[1];
  // The other direction is still open.
  client->send(Client::data(3, "late", Fin::yes));
  char text[4];
  EXPECT_EQ(::recv(pod(), text, 4, MSG_WAITALL), 4);
  EXPECT_EQ(::recv(pod(), text, 1, 0), 0);
}

// A reset frees the stream's place in the protocol, not what waits for its other half.
TEST_F(PortForwardTest, HalvesWhoseStreamsWereResetAreBounded) {
  connectClient();
  for (uint32_t i = 0; i < kMostForwards; ++i) {
    open(2 * i + 1, "error", i);
    client->send(reset(2 * i + 1));
  }
  const uint32_t next = 2 * kMostForwards + 1;
  client->send(syn(next, "error", kMostForwards));
  client->framesUntil(support::strCat("RST_STREAM ", next, " 5"));
}

TEST_F(PortForwardTest, ConnectionsThatWaitToBeMadeAreBounded) {
  hold = true;
  connectClient();
  uint32_t id = 1;
  for (uint32_t i = 0; i < kMostForwards; ++i, id += 4) {
    open(id, "error", i);
    open(id + 2, "data", i);
    client->send(reset(id));
    client->send(reset(id + 2));
  }
  client->send(syn(id, "error", kMostForwards));
  client->framesUntil(support::strCat("RST_STREAM ", id, " 5"));
  {
    std::unique_lock lock(mutex);
    // Only so many at a time: each takes a thread.
    changed.wait(lock, [this] { return connects == 8; });
  }
  // Once they are through there is room again.
  release();
  for (;;) {
    id += 2;
    client->send(syn(id, "error", kMostForwards));
    client->send(Client::frame(spdy::Ping{.id = id}));
    const auto lines = client->framesUntil(support::strCat("PING ", id));
    if (testing::Matches(Not(Contains(support::strCat("RST_STREAM ", id, " 5"))))(lines)) break;
  }
}

}  // namespace
}  // namespace berth::streaming
