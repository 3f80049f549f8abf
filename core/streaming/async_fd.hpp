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
#include "common/workers.hpp"
#include "streaming/async.hpp"
#include "streaming/stream.hpp"

namespace berth::streaming {

struct Pipe {
  support::Fd read;
  support::Fd write;
};
// Close-on-exec, both ends blocking.
absl::StatusOr<Pipe> makePipe();

// Closes it on a thread that may block; here when there is none to be had.
void closeOnThread(common::Workers& workers, support::Fd fd);

// Belongs to a strand. One read and one write may be under way at a time. Writing to a broken pipe
// is an error, not a signal: SIGPIPE must be blocked or ignored.
class AsyncFd {
 public:
  // Makes the descriptor non-blocking: the open file, not only this descriptor.
  static absl::StatusOr<std::unique_ptr<AsyncFd>> adopt(
      const boost::asio::any_io_executor& executor, support::Fd fd);
  // One end of a pipe that processes of containers have too. Whatever is done with a pipe, its
  // close included, takes its lock, non-blocking or not; and who splices into it has that for as
  // long as there is nothing to splice (splice(2)). So all of it is done on threads of `workers`,
  // and left to them by close().
  static absl::StatusOr<std::unique_ptr<AsyncFd>> adoptShared(
      const boost::asio::any_io_executor& executor, support::Fd fd, common::Workers& workers);
  ~AsyncFd();
  AsyncFd(const AsyncFd&) = delete;
  AsyncFd& operator=(const AsyncFd&) = delete;

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
  struct Call;
  // The result, or a negative error number.
  using SystemCall = ssize_t (*)(int fd, char* bytes, size_t size);

  explicit AsyncFd(const boost::asio::any_io_executor& executor);

  bool isReady(short event);
  // Results, or negative error numbers.
  Task<ssize_t> readSome(boost::asio::mutable_buffer into);
  Task<ssize_t> writeSome(boost::asio::const_buffer bytes);
  Task<ssize_t> onThread(SystemCall doing, size_t size);
  Task<size_t> present();
  // False at the end that endAfterPresent or endWhenQuiet set.
  Task<bool> waitReadable();

  boost::asio::posix::stream_descriptor descriptor_;
  common::Workers* workers_ = nullptr;  // of a shared pipe, as the call
  std::shared_ptr<Call> call_;
  bool endsAfterPresent_ = false;
  std::optional<size_t> left_;
  std::optional<std::chrono::milliseconds> quiet_;
  bool growing_ = false;
  bool grown_ = false;
};

}  // namespace berth::streaming
