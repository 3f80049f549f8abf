// The two levels between a socket and a session: a byte connection (TCP, TLS, a WebSocket that
// tunnels), and the streams that a framing protocol (SPDY/3.1, WebSocket channels) carries over it.
//
// Everything of one connection runs on one strand, so nothing here locks. Errors are values: no
// function throws, and a coroutine that is abandoned because the connection ended returns a Status.
//
// GCC 12 destroys some temporaries twice that are made within a co_await expression (its bugs 99576
// and near it): closures whose captures need destruction, aggregates with such members, and what
// "? :" chooses between. They are therefore made in statements of their own.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>

namespace berth::streaming {

template <class T>
using Task = boost::asio::awaitable<T>;

// An ordered, reliable connection. One read and one write may be under way at a time.
class ByteConnection {
 public:
  virtual ~ByteConnection() = default;
  virtual boost::asio::any_io_executor executor() = 0;
  // At least one byte; 0 at the orderly end.
  virtual Task<absl::StatusOr<size_t>> read(boost::asio::mutable_buffer into) = 0;
  // All of it, in order, gathered into as few writes as possible.
  virtual Task<absl::Status> write(std::span<const boost::asio::const_buffer> parts) = 0;
  // Ends reads and writes under way, with an error. Idempotent.
  virtual void close() = 0;
};

// One of the streams on a connection. One read and one write may be under way at a time.
class Stream {
 public:
  virtual ~Stream() = default;
  // As the client gave them when it opened the stream; names in lower case ("streamtype", "port",
  // "requestid").
  virtual const std::map<std::string, std::string>& headers() const = 0;
  // At least one byte; 0 once the client has closed its side. Bytes that nobody reads fill the
  // stream's window and then stop the client: they never take more memory.
  virtual Task<absl::StatusOr<size_t>> read(boost::asio::mutable_buffer into) = 0;
  // Returns when the bytes are handed to the connection, which a slow client delays.
  virtual Task<absl::Status> write(boost::asio::const_buffer bytes) = 0;
  // No more writes; the client sees the end of the stream. Idempotent.
  virtual Task<absl::Status> closeWrite() = 0;
  // Ends the stream in both directions at once. Idempotent.
  virtual void reset() = 0;
};

// A connection that carries streams.
class StreamConnection {
 public:
  virtual ~StreamConnection() = default;
  // The next stream that the client opens. OUT_OF_RANGE when it will open no more (GOAWAY, or the
  // orderly end of the connection); other codes when the connection broke or the client did not
  // keep to the protocol.
  virtual Task<absl::StatusOr<std::shared_ptr<Stream>>> accept() = 0;
  // Carries the frames; returns when the connection has ended. Spawned once, before anything else.
  virtual Task<absl::Status> run() = 0;
  // Says goodbye (GOAWAY, close frame), sends what is queued, ends the connection. Bounded in time.
  virtual Task<void> shutdown() = 0;
};

}  // namespace berth::streaming
