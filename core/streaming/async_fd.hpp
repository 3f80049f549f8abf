// A pipe's end or a socket, read and written by coroutines.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "berth/support/fd.hpp"
#include "streaming/async.hpp"
#include "streaming/stream.hpp"

namespace berth::streaming {

struct Pipe {
  support::Fd read;
  support::Fd write;
};
// Close-on-exec, both ends blocking.
absl::StatusOr<Pipe> makePipe();

// Belongs to a strand. One read and one write may be under way at a time. Writing to a broken pipe
// is an error, not a signal: SIGPIPE must be blocked or ignored.
class AsyncFd {
 public:
  // Makes the descriptor non-blocking: the open file, not only this descriptor.
  static absl::StatusOr<std::unique_ptr<AsyncFd>> adopt(
      const boost::asio::any_io_executor& executor, support::Fd fd);

  // At least one byte; 0 at the end.
  Task<absl::StatusOr<size_t>> read(boost::asio::mutable_buffer into);
  // All of it.
  Task<absl::Status> write(boost::asio::const_buffer bytes);
  // Returns when there may be something to read, or to accept, or after close().
  Task<void> readable();
  // Returns when the other end of a pipe that is written here is gone, or after close().
  Task<void> broken();

  // What is in the pipe now is still read, then comes the end, whoever else may write to it.
  void endAfterPresent();
  // The end comes when nothing has arrived for so long.
  void endWhenQuiet(std::chrono::milliseconds quiet);

  // Lets a busy pipe hold more, where the kernel allows it.
  void growPipe();
  // A socket's half-close: the other side reads the end.
  void shutdownWrite();
  // Ends what is under way, with an error. Idempotent.
  void close();
  bool isOpen() const { return descriptor_.is_open(); }
  int get() { return descriptor_.native_handle(); }

 private:
  explicit AsyncFd(const boost::asio::any_io_executor& executor) : descriptor_(executor) {}

  // False at the end that endAfterPresent or endWhenQuiet set.
  Task<bool> waitReadable();

  boost::asio::posix::stream_descriptor descriptor_;
  std::optional<size_t> left_;
  std::optional<std::chrono::milliseconds> quiet_;
  bool grown_ = false;
};

}  // namespace berth::streaming
