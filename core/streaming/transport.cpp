#include "streaming/transport.hpp"

#include <array>
#include <chrono>
#include <limits>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using support::strCat;
using namespace std::chrono_literals;

namespace {

constexpr auto kStallTick = 250ms;
// A client that has everything reacts within a round trip; one that takes nothing for so long has
// gone or hangs.
constexpr int kQuietTicks = 8;
constexpr int kStalledTicks = 120;

std::string nameOf(const tcp::socket& socket) {
  error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (error) return "unknown";
  const std::string address = peer.address().to_string();
  return peer.address().is_v6() ? strCat("[", address, "]:", peer.port())
                                : strCat(address, ":", peer.port());
}

// Finds clients that vanished without a word in about two minutes.
void keepAlive(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const int fd = socket.native_handle();
  const auto set = [fd](int option, int value) {
    ::setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 60);
  set(TCP_KEEPINTVL, 15);
  set(TCP_KEEPCNT, 4);
}

}  // namespace

absl::Status socketStatus(const error_code& error, std::string_view doing) {
  if (error == asio::error::eof || error == asio::error::connection_reset ||
      error == asio::error::broken_pipe || error == asio::ssl::error::stream_truncated) {
    return absl::UnavailableError(strCat(doing, ": the client has closed the connection"));
  }
  if (error == asio::error::operation_aborted) {
    return absl::CancelledError(strCat(doing, ": the connection is being closed"));
  }
  return absl::UnavailableError(strCat(doing, ": ", error.message()));
}

Transport::Transport(tcp::socket socket, TlsContexts::Context tls)
    : peer_(std::make_shared<Peer>(std::move(socket))) {
  peer_->name = nameOf(peer_->tcp);
  error_code ignored;
  // Terminals: every keystroke goes at once.
  peer_->tcp.set_option(tcp::no_delay(true), ignored);
  keepAlive(peer_->tcp);
  if (tls == nullptr) return;
  peer_->context = std::move(tls);
  peer_->tls =
      std::make_unique<boost::beast::ssl_stream<tcp::socket&>>(peer_->tcp, *peer_->context);
}

Task<absl::Status> Transport::handshake() {
  if (!peer_->tls) co_return absl::OkStatus();
  auto [error] = co_await peer_->tls->async_handshake(asio::ssl::stream_base::server, kAwait);
  if (error) co_return absl::UnauthenticatedError(strCat("TLS handshake: ", error.message()));
  co_return absl::OkStatus();
}

void Transport::cancel() {
  peer_->isCut = true;
  cancelReads();
}

void Transport::cancelReads() {
  peer_->cancelled = true;
  error_code ignored;
  peer_->tcp.cancel(ignored);
}

void Transport::abort() {
  peer_->cancelled = peer_->isCut = true;
  error_code ignored;
  peer_->tcp.close(ignored);
}

std::unique_ptr<Ticker> Transport::watchStall(std::function<void()> stalled) const {
  struct Seen {
    int queued = -1;
    int ticks = 0;
  };
  return std::make_unique<Ticker>(
      get_executor(), kStallTick,
      [peer = peer_, stalled = std::move(stalled), seen = std::make_shared<Seen>()] {
        int queued = 0;
        // What the client's kernel has not acknowledged.
        if (!peer->tcp.is_open() || ::ioctl(peer->tcp.native_handle(), SIOCOUTQ, &queued) != 0) {
          return stalled();
        }
        seen->ticks = queued == seen->queued ? seen->ticks + 1 : 0;
        seen->queued = queued;
        if (seen->ticks >= (queued == 0 ? kQuietTicks : kStalledTicks)) stalled();
      });
}

Task<void> Transport::finish() {
  if (!peer_->tcp.is_open()) co_return;
  const std::unique_ptr<Ticker> watch = watchStall([handle = *this]() mutable { handle.abort(); });
  // Within a record only the socket can still be closed. Else the client learns that it has all.
  if (peer_->tls && !peer_->isCut) co_await peer_->tls->async_shutdown(kAwait);
  error_code error;
  peer_->tcp.shutdown(tcp::socket::shutdown_send, error);
  // Closing a socket that holds unread bytes would reset the connection, and with it what the
  // client has not read yet.
  std::array<char, 4096> discarded;
  while (!error) {
    auto [failed, count] = co_await peer_->tcp.async_read_some(asio::buffer(discarded), kAwait);
    error = failed;
  }
  abort();
}

namespace {

// Asio's own transfer_all() passes on 64 KiB at a time, however much there is.
struct AllAtOnce {
  size_t operator()(const error_code& error, size_t) const {
    return error ? 0 : std::numeric_limits<size_t>::max();
  }
};

class SocketBytes final : public ByteConnection {
 public:
  explicit SocketBytes(Transport transport) : transport_(std::move(transport)) {}

  asio::any_io_executor executor() override { return transport_.get_executor(); }

  Task<absl::StatusOr<size_t>> read(asio::mutable_buffer into) override {
    auto [error, count] = co_await transport_.async_read_some(into, kAwait);
    if (error == asio::error::eof) co_return size_t{0};
    if (error) co_return socketStatus(error, "read from the client");
    co_return count;
  }

  Task<absl::Status> write(std::span<const asio::const_buffer> parts) override {
    writes_ = true;
    auto [error, count] = co_await asio::async_write(transport_, parts, AllAtOnce(), kAwait);
    writes_ = error.failed();
    if (error) co_return socketStatus(error, "write to the client");
    co_return absl::OkStatus();
  }

  void close() override {
    if (writes_) {
      transport_.cancel();
    } else {
      transport_.cancelReads();
    }
  }

 private:
  Transport transport_;
  bool writes_ = false;  // or has failed to
};

}  // namespace

std::unique_ptr<ByteConnection> makeByteConnection(Transport transport) {
  return std::make_unique<SocketBytes>(std::move(transport));
}

}  // namespace berth::streaming
