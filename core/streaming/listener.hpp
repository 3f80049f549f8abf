// The listening socket.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include "berth/support/fd.hpp"
#include "streaming/async_fd.hpp"

namespace berth::streaming {

struct ListeningSocket {
  support::Fd fd;
  boost::asio::ip::tcp::endpoint endpoint;  // with the port that the kernel chose
};

// INVALID_ARGUMENT when the address is none; else what the kernel says, with the address.
absl::StatusOr<ListeningSocket> listenOn(const std::string& address, uint16_t port);

// Accepts until it is closed. Belongs to a strand.
class Listener {
 public:
  // Called with each new connection: a socket that is close-on-exec and non-blocking. What it
  // throws ends that connection alone.
  using Accepted = std::function<void(support::Fd)>;
  // While it says no, clients wait in the kernel's queue.
  using HasRoom = std::function<bool()>;

  static absl::StatusOr<std::unique_ptr<Listener>> make(
      const boost::asio::any_io_executor& executor, support::Fd fd, HasRoom hasRoom,
      Accepted accepted);

  Task<void> run();
  void close();

 private:
  Listener(std::unique_ptr<AsyncFd> socket, HasRoom hasRoom, Accepted accepted,
           const boost::asio::any_io_executor& executor)
      : socket_(std::move(socket)),
        hasRoom_(std::move(hasRoom)),
        accepted_(std::move(accepted)),
        pause_(executor) {}

  void handOver(support::Fd client);
  Task<void> pause(std::chrono::milliseconds time);
  // False when there can be no more connections.
  Task<bool> recover(int error);

  const std::unique_ptr<AsyncFd> socket_;
  const HasRoom hasRoom_;
  const Accepted accepted_;
  boost::asio::steady_timer pause_;
  bool short_ = false;  // of descriptors or memory
};

}  // namespace berth::streaming
