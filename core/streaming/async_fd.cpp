#include "streaming/async_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/support/pipe.hpp"
#include "berth/support/status.hpp"

namespace berth::streaming {

namespace asio = boost::asio;
using asio::posix::descriptor_base;
using boost::system::error_code;
using support::Fd;

namespace {
// What an unprivileged process may ask for (pipe(7), /proc/sys/fs/pipe-max-size).
constexpr int kBusyPipeBytes = 1 << 20;
}  // namespace

absl::StatusOr<Pipe> makePipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return support::errnoStatus(errno, "make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

absl::StatusOr<std::unique_ptr<AsyncFd>> AsyncFd::adopt(const asio::any_io_executor& executor,
                                                        Fd fd) {
  std::unique_ptr<AsyncFd> adopted(new AsyncFd(executor));
  error_code error;
  adopted->descriptor_.assign(fd.get(), error);
  if (error) return support::errnoStatus(error.value(), "watch a descriptor");
  (void)fd.release();  // the descriptor's now
  adopted->descriptor_.native_non_blocking(true, error);
  if (error) return support::errnoStatus(error.value(), "make a descriptor non-blocking");
  return adopted;
}

Task<absl::StatusOr<size_t>> AsyncFd::read(asio::mutable_buffer into) {
  while (descriptor_.is_open()) {
    if (left_ == size_t{0}) co_return size_t{0};
    const size_t most = std::min(into.size(), left_.value_or(into.size()));
    const ssize_t count = ::read(descriptor_.native_handle(), into.data(), most);
    if (count >= 0) {
      if (left_) *left_ -= static_cast<size_t>(count);
      co_return static_cast<size_t>(count);
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return support::errnoStatus(errno, "read");
    if (!co_await waitReadable()) co_return size_t{0};
  }
  co_return absl::CancelledError("read: the descriptor was closed");
}

Task<bool> AsyncFd::waitReadable() {
  if (left_) co_return false;
  std::optional<Ticker> quiet;
  bool silent = false;
  if (quiet_) {
    quiet.emplace(descriptor_.get_executor(), *quiet_, [this, &silent] {
      silent = true;
      error_code ignored;
      descriptor_.cancel(ignored);
    });
  }
  // An error means cancel or close: the caller looks again.
  co_await descriptor_.async_wait(descriptor_base::wait_read, kAwait);
  co_return !silent;
}

Task<absl::Status> AsyncFd::write(asio::const_buffer bytes) {
  while (bytes.size() > 0) {
    if (!descriptor_.is_open()) co_return absl::CancelledError("write: the descriptor was closed");
    const ssize_t count = ::write(descriptor_.native_handle(), bytes.data(), bytes.size());
    if (count >= 0) {
      bytes += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      co_await descriptor_.async_wait(descriptor_base::wait_write, kAwait);
    } else if (errno != EINTR) {
      co_return support::errnoStatus(errno, "write");
    }
  }
  co_return absl::OkStatus();
}

Task<void> AsyncFd::readable() {
  if (descriptor_.is_open()) co_await descriptor_.async_wait(descriptor_base::wait_read, kAwait);
}

Task<void> AsyncFd::broken() {
  if (descriptor_.is_open()) co_await descriptor_.async_wait(descriptor_base::wait_error, kAwait);
}

void AsyncFd::endAfterPresent() {
  if (!descriptor_.is_open() || left_) return;
  left_ = static_cast<size_t>(std::max(0, support::bytesIn(descriptor_.native_handle())));
  error_code ignored;
  descriptor_.cancel(ignored);
}

void AsyncFd::endWhenQuiet(std::chrono::milliseconds quiet) {
  quiet_ = quiet;
  error_code ignored;
  if (descriptor_.is_open()) descriptor_.cancel(ignored);
}

void AsyncFd::growPipe() {
  if (grown_ || !descriptor_.is_open()) return;
  grown_ = true;
  // Fails on sockets, and past the user's share of pipes: the pipe stays as it is.
  ::fcntl(descriptor_.native_handle(), F_SETPIPE_SZ, kBusyPipeBytes);
}

void AsyncFd::shutdownWrite() {
  if (descriptor_.is_open()) ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

void AsyncFd::close() {
  error_code ignored;
  if (descriptor_.is_open()) descriptor_.close(ignored);
}

}  // namespace berth::streaming
