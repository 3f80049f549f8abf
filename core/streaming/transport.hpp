// A client's socket, plain or with TLS.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/bind_handler.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <boost/beast/websocket/teardown.hpp>

#include "streaming/async.hpp"
#include "streaming/stream.hpp"
#include "streaming/tls.hpp"

namespace berth::streaming {

// A handle: copies stand for the same socket. Belongs to the socket's strand. It is what Beast
// calls an AsyncStream, so that HTTP and WebSocket are written once for both kinds of sockets.
class Transport {
 public:
  using executor_type = boost::asio::any_io_executor;

  // `tls` null: plain.
  Transport(boost::asio::ip::tcp::socket socket, TlsContexts::Context tls);

  executor_type get_executor() const { return peer_->tcp.get_executor(); }
  // "127.0.0.1:4242"
  const std::string& name() const { return peer_->name; }

  // TLS's handshake, with the client's certificate when one is demanded; plain sockets need none.
  Task<absl::Status> handshake();

  template <class Buffers, class Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [peer = peer_](auto handler, const Buffers& into) {
          if (peer->cancelled) {
            completeCancelled(*peer, std::move(handler));
          } else if (peer->tls) {
            peer->tls->async_read_some(into, std::move(handler));
          } else {
            peer->tcp.async_read_some(into, std::move(handler));
          }
        },
        token, buffers);
  }

  template <class Buffers, class Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    return boost::asio::async_initiate<Token, void(boost::system::error_code, size_t)>(
        [peer = peer_](auto handler, const Buffers& from) {
          if (peer->cancelled) {
            completeCancelled(*peer, std::move(handler));
          } else if (peer->tls) {
            peer->tls->async_write_some(from, std::move(handler));
          } else {
            peer->tcp.async_write_some(from, std::move(handler));
          }
        },
        token, buffers);
  }

  // Ends what is under way, and all that follows, with an error. The client notices nothing yet.
  void cancel();
  // The same while nothing is being written: the connection can still be ended in an orderly way.
  void cancelReads();
  // Closes the connection at once; what the client has not received may be lost.
  void abort();
  // Closes the connection after the client has received everything, or takes nothing more of it.
  // Nothing else may be done with the socket, unless it was cancelled.
  Task<void> finish();

  // Calls `stalled` once the client takes nothing more of what was sent, or has all of it and does
  // not react.
  std::unique_ptr<Ticker> watchStall(std::function<void()> stalled) const;

 private:
  struct Peer {
    explicit Peer(boost::asio::ip::tcp::socket socket) : tcp(std::move(socket)) {}

    boost::asio::ip::tcp::socket tcp;
    TlsContexts::Context context;  // outlives `tls`
    std::unique_ptr<boost::beast::ssl_stream<boost::asio::ip::tcp::socket&>> tls;
    std::string name;
    bool cancelled = false;
    bool isCut = false;  // perhaps: within a TLS record
  };

  template <class Handler>
  static void completeCancelled(Peer& peer, Handler handler) {
    boost::asio::post(
        peer.tcp.get_executor(),
        boost::beast::bind_front_handler(
            std::move(handler), boost::system::error_code(boost::asio::error::operation_aborted),
            size_t{0}));
  }

  std::shared_ptr<Peer> peer_;
};

// What Beast's WebSocket calls when it gives up.
inline void beast_close_socket(Transport& transport) {
  transport.cancel();
}
// WebSocket's last step in Beast: finish() does it.
inline void teardown(boost::beast::role_type, Transport&, boost::system::error_code& error) {
  error = {};
}
template <class Handler>
void async_teardown(boost::beast::role_type, Transport& transport, Handler&& handler) {
  boost::asio::post(transport.get_executor(),
                    boost::beast::bind_front_handler(std::forward<Handler>(handler),
                                                     boost::system::error_code()));
}

// The status for an error of a socket. A connection that the peer closed or reset is UNAVAILABLE.
absl::Status socketStatus(const boost::system::error_code& error, std::string_view doing);

// Bytes as they are on the socket: for SPDY.
std::unique_ptr<ByteConnection> makeByteConnection(Transport transport);

}  // namespace berth::streaming
