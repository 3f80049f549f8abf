#include "streaming/listener.hpp"

#include <cerrno>
#include <exception>
#include <sys/socket.h>

#include <boost/asio/ip/address.hpp>

#include "berth/support/status.hpp"
#include "common/log.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using support::Fd;
using support::strCat;
using namespace std::chrono_literals;

absl::StatusOr<ListeningSocket> listenOn(const std::string& address, uint16_t port) {
  error_code error;
  tcp::endpoint endpoint(asio::ip::make_address(address, error), port);
  if (error) {
    return absl::InvalidArgumentError(
        strCat("the streaming server's address \"", address, "\" is no IPv4 or IPv6 address"));
  }
  const std::string doing = strCat("listen on ", address, " port ", port);
  const auto failure = [&doing](int reason) {
    if (reason != EADDRINUSE) return support::errnoStatus(reason, doing);
    return absl::AlreadyExistsError(
        strCat(doing, ": the port is in use (ss -ltnp names by whom); set another"));
  };
  Fd fd(::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return support::errnoStatus(errno, doing);
  const int on = 1;
  // A restart takes the port over from connections that are still ending.
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(fd.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) != 0 ||
      ::listen(fd.get(), SOMAXCONN) != 0) {
    return failure(errno);
  }
  auto length = static_cast<socklen_t>(endpoint.capacity());
  if (::getsockname(fd.get(), endpoint.data(), &length) != 0) {
    return support::errnoStatus(errno, doing);
  }
  endpoint.resize(length);
  return ListeningSocket{std::move(fd), endpoint};
}

absl::StatusOr<std::unique_ptr<Listener>> Listener::make(const asio::any_io_executor& executor,
                                                         Fd fd, HasRoom hasRoom,
                                                         Accepted accepted) {
  BERTH_ASSIGN_OR_RETURN(auto socket, AsyncFd::adopt(executor, std::move(fd)));
  return std::unique_ptr<Listener>(
      new Listener(std::move(socket), std::move(hasRoom), std::move(accepted), executor));
}

Task<void> Listener::run() {
  while (socket_->isOpen()) {
    if (!hasRoom_()) {
      co_await pause(50ms);
      continue;
    }
    Fd client(::accept4(socket_->get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client) {
      short_ = false;
      handOver(std::move(client));
    } else if (!co_await recover(errno)) {
      co_return;
    }
  }
}

// Whatever goes wrong is that one client's.
void Listener::handOver(Fd client) {
  try {
    accepted_(std::move(client));
  } catch (const std::exception& error) {
    common::logWarning("a streaming client cannot be served", {{"error", error.what()}});
  }
}

Task<bool> Listener::recover(int error) {
  switch (error) {
    case EAGAIN:
      co_await socket_->readable();
      co_return true;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
      common::logError("the streaming server's socket is lost",
                       {{"error", support::errnoStatus(error, "accept").ToString()}});
      co_return false;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      if (!short_) {
        common::logWarning("streaming clients have to wait",
                           {{"error", support::errnoStatus(error, "accept").ToString()}});
      }
      short_ = true;
      co_await pause(200ms);
      co_return true;
    default:
      // Of that one connection (accept(2), "Error handling").
      co_return true;
  }
}

Task<void> Listener::pause(std::chrono::milliseconds time) {
  pause_.expires_after(time);
  co_await pause_.async_wait(kAwait);
}

void Listener::close() {
  socket_->close();
  pause_.cancel();
}

}  // namespace berth::streaming
