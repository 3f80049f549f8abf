#include "streaming/websocket.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "berth/support/status.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using support::strCat;

namespace {

// As Kubernetes's own servers. Messages are never kept whole, so this is no matter of memory.
constexpr size_t kMostMessageBytes = 32u << 20;

absl::Status statusOf(const error_code& error, std::string_view doing) {
  if (error == websocket::error::closed) {
    return absl::OutOfRangeError("the client has closed the WebSocket");
  }
  if (error == websocket::error::message_too_big) {
    return absl::ResourceExhaustedError(
        strCat(doing, ": a message of more than ", kMostMessageBytes, " bytes"));
  }
  if (error.category() == make_error_code(websocket::error::closed).category()) {
    return absl::InvalidArgumentError(strCat(doing, ": ", error.message()));
  }
  return socketStatus(error, doing);
}

}  // namespace

struct WebSocket::Impl {
  explicit Impl(Transport socket)
      : transport(std::move(socket)),
        stream(transport),
        writing(transport.get_executor()),
        closed(transport.get_executor()) {
    stream.auto_fragment(false);
    stream.read_message_max(kMostMessageBytes);
  }

  Transport transport;
  websocket::stream<Transport, false> stream;
  AsyncLock writing;
  Signal closed;
  bool closing = false;
  bool closeEnded = false;
};

WebSocket::WebSocket(Transport transport) : impl_(std::make_unique<Impl>(std::move(transport))) {}
WebSocket::~WebSocket() = default;

asio::any_io_executor WebSocket::executor() const {
  return impl_->transport.get_executor();
}

Task<absl::Status> WebSocket::accept(HttpRequest request, std::string subprotocol) {
  // Beast looks at the first line of each alone, where what was found may stand in another.
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "websocket");
  impl_->stream.set_option(
      websocket::stream_base::decorator([&subprotocol](websocket::response_type& response) {
        if (!subprotocol.empty()) response.set(http::field::sec_websocket_protocol, subprotocol);
      }));
  auto [error] = co_await impl_->stream.async_accept(request, kAwait);
  if (error) co_return statusOf(error, "accept a WebSocket");
  co_return absl::OkStatus();
}

Task<absl::StatusOr<WebSocket::Part>> WebSocket::read(asio::mutable_buffer into) {
  auto [error, count] = co_await impl_->stream.async_read_some(into, kAwait);
  if (error) co_return statusOf(error, "read from a WebSocket");
  co_return Part{count, impl_->stream.is_message_done(),
                 impl_->stream.got_text() ? Message::kText : Message::kBinary};
}

Task<absl::Status> WebSocket::write(Message kind, std::span<const asio::const_buffer> parts) {
  const AsyncLock::Guard turn = co_await impl_->writing.lock();
  impl_->stream.text(kind == Message::kText);
  auto [error, count] = co_await impl_->stream.async_write(parts, kAwait);
  if (error) co_return statusOf(error, "write to a WebSocket");
  co_return absl::OkStatus();
}

Task<void> WebSocket::close(CloseCode code) {
  if (!impl_->closing) {
    impl_->closing = true;
    const auto watch =
        impl_->transport.watchStall([socket = impl_->transport]() mutable { socket.cancel(); });
    co_await impl_->stream.async_close(static_cast<websocket::close_code>(code), kAwait);
    impl_->closeEnded = true;
    impl_->closed.notify();
  }
  co_await impl_->closed.until([this] { return impl_->closeEnded; });
}

namespace {

class WebSocketBytes final : public ByteConnection {
 public:
  explicit WebSocketBytes(std::shared_ptr<WebSocket> socket) : socket_(std::move(socket)) {}

  asio::any_io_executor executor() override { return socket_->executor(); }

  Task<absl::StatusOr<size_t>> read(asio::mutable_buffer into) override {
    for (;;) {
      const absl::StatusOr<WebSocket::Part> part = co_await socket_->read(into);
      if (absl::IsOutOfRange(part.status())) co_return size_t{0};
      if (!part.ok()) co_return part.status();
      if (part->kind != WebSocket::Message::kBinary) {
        co_return absl::InvalidArgumentError("SPDY in a text message of a WebSocket");
      }
      if (part->size > 0) co_return part->size;
    }
  }

  Task<absl::Status> write(std::span<const asio::const_buffer> parts) override {
    return socket_->write(WebSocket::Message::kBinary, parts);
  }

  void close() override { asio::co_spawn(executor(), sayGoodbye(socket_), asio::detached); }

 private:
  static Task<void> sayGoodbye(std::shared_ptr<WebSocket> socket) {
    co_await socket->close(WebSocket::CloseCode::kNormal);
  }

  const std::shared_ptr<WebSocket> socket_;
};

}  // namespace

std::unique_ptr<ByteConnection> makeByteConnection(std::shared_ptr<WebSocket> socket) {
  return std::make_unique<WebSocketBytes>(std::move(socket));
}

}  // namespace berth::streaming
