// A WebSocket on a client's socket (RFC 6455), without what is in its messages.
#pragma once

#include <memory>
#include <span>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/buffer.hpp>

#include "streaming/async.hpp"
#include "streaming/request.hpp"
#include "streaming/stream.hpp"
#include "streaming/transport.hpp"

namespace berth::streaming {

// Belongs to the transport's strand. Pings are answered while someone reads.
class WebSocket {
 public:
  enum class Message { kBinary, kText };
  enum class CloseCode : uint16_t { kNormal = 1000, kProtocolError = 1002, kInvalidPayload = 1007 };
  // A part of a message. `last` parts may be empty.
  struct Part {
    size_t size = 0;
    bool last = false;
    Message kind = Message::kBinary;
  };

  explicit WebSocket(Transport transport);
  ~WebSocket();
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  boost::asio::any_io_executor executor() const;

  // Answers the client's request. Empty: no subprotocol.
  Task<absl::Status> accept(HttpRequest request, std::string subprotocol);

  // OUT_OF_RANGE when the client has closed the WebSocket; RESOURCE_EXHAUSTED after a message of
  // more than 32 MiB, which the client was told (1009). One at a time.
  Task<absl::StatusOr<Part>> read(boost::asio::mutable_buffer into);
  // One message. Waits for messages of others under way.
  Task<absl::Status> write(Message kind, std::span<const boost::asio::const_buffer> parts);
  // Says goodbye and waits for the client's, but not for ever. Reads and writes end. Whoever calls
  // it again waits for the first call to end.
  Task<void> close(CloseCode code);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// Messages as they are, for SPDY in a WebSocket: borders of messages mean nothing.
std::unique_ptr<ByteConnection> makeByteConnection(std::shared_ptr<WebSocket> socket);

}  // namespace berth::streaming
