#include "engine/loopback.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../no_more_threads.hpp"
#include "berth/support/status.hpp"

namespace berth::engine {
namespace {

using support::Fd;
using ::testing::HasSubstr;

std::chrono::steady_clock::time_point soon() {
  return std::chrono::steady_clock::now() + std::chrono::seconds(20);
}

// A socket that listens on the family's loopback address, on a port that the kernel chooses.
class Listener {
 public:
  explicit Listener(int family, int backlog = 8)
      : fd_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) {
      reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
      reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    }
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    bound_ = ::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 &&
             ::listen(fd_.get(), backlog) == 0;
    socklen_t length = sizeof address;
    ::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  }
  bool bound() const { return bound_; }
  uint16_t port() const { return port_; }
  void close() { fd_.reset(); }
  Fd accept() { return Fd(::accept(fd_.get(), nullptr, nullptr)); }

 private:
  Fd fd_;
  bool bound_ = false;
  uint16_t port_ = 0;
};

void expectConversation(const Fd& client, Listener& listener) {
  EXPECT_EQ(::fcntl(client.get(), F_GETFL) & O_NONBLOCK, 0);
  const Fd server = listener.accept();
  ASSERT_EQ(::write(client.get(), "ping", 4), 4);
  char text[4];
  ASSERT_EQ(::read(server.get(), text, 4), 4);
  EXPECT_EQ(std::string(text, 4), "ping");
}

TEST(LoopbackTest, ConnectsToIpv4) {
  Listener listener(AF_INET);
  ASSERT_TRUE(listener.bound());
  const auto client = connectLoopback(listener.port(), soon());
  ASSERT_TRUE(client.ok()) << client.status();
  expectConversation(*client, listener);
}

TEST(LoopbackTest, ConnectsToIpv6WhenIpv4DoesNotListen) {
  Listener listener(AF_INET6);
  if (!listener.bound()) GTEST_SKIP() << "this host has no ::1";
  const auto client = connectLoopback(listener.port(), soon());
  ASSERT_TRUE(client.ok()) << client.status();
  expectConversation(*client, listener);
}

TEST(LoopbackTest, SaysWhyNeitherAnswers) {
  Listener listener(AF_INET);
  const uint16_t port = listener.port();
  listener.close();
  const auto client = connectLoopback(port, soon());
  EXPECT_EQ(client.status().code(), absl::StatusCode::kUnavailable);
  const std::string message(support::fromAbsl(client.status().message()));
  EXPECT_THAT(message, HasSubstr(support::strCat("127.0.0.1:", port, ": Connection refused")));
  EXPECT_THAT(message, HasSubstr(support::strCat("[::1]:", port)));
}

// A server that accepts nothing more lets connections hang.
TEST(LoopbackTest, EndsWithTheDeadline) {
  Listener listener(AF_INET, 0);
  std::vector<Fd> waiting;
  const auto begun = std::chrono::steady_clock::now();
  absl::Status status;
  for (int i = 0; i < 64 && status.ok(); ++i) {
    auto client = connectLoopback(listener.port(),
                                  std::chrono::steady_clock::now() + std::chrono::milliseconds(50));
    status = client.status();
    if (client.ok()) waiting.push_back(*std::move(client));
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(support::fromAbsl(status.message())), HasSubstr("timed out"));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
}

TEST(LoopbackTest, WithoutAThreadToEnterTheNamespaceThereIsNoConnection) {
  const testing_support::NoMoreThreads shortage;
  const auto client = connectLoopbackIn("/proc/self/ns/net", 80, soon());
  EXPECT_EQ(client.status().code(), absl::StatusCode::kResourceExhausted) << client.status();
}

TEST(LoopbackTest, ANamespaceThatIsGoneIsSaid) {
  const auto client = connectLoopbackIn("/no/such/namespace", 80, soon());
  EXPECT_EQ(client.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(support::fromAbsl(client.status().message())),
              HasSubstr("/no/such/namespace"));
}

}  // namespace
}  // namespace berth::engine
