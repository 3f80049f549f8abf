#include "streaming/listener.hpp"

#include <stdexcept>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "server_fixture.hpp"

namespace berth::streaming {
namespace {

// No memory for one client, for instance, is no reason to serve none ever again.
TEST(ListenerTest, AClientThatCannotBeServedEndsNothingElse) {
  auto socket = listenOn("127.0.0.1", 0);
  ASSERT_TRUE(socket.ok()) << socket.status();
  boost::asio::io_context context;
  int seen = 0;
  std::unique_ptr<Listener> listener;
  auto made = Listener::make(
      context.get_executor(), std::move(socket->fd), [] { return true; },
      [&](support::Fd) {
        if (++seen == 1) throw std::bad_alloc();
        listener->close();
      });
  ASSERT_TRUE(made.ok()) << made.status();
  listener = *std::move(made);
  std::exception_ptr failure;
  boost::asio::co_spawn(context, listener->run(),
                        [&](const std::exception_ptr& thrown) { failure = thrown; });
  const SocketClient first(socket->endpoint.port());
  const SocketClient second(socket->endpoint.port());
  context.run_for(std::chrono::seconds(20));
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(failure, nullptr);
}

}  // namespace
}  // namespace berth::streaming
