#include "streaming/async_fd.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/post.hpp>

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
// Read or written by one call of a thread.
constexpr size_t kCallBytes = 256u << 10;

}  // namespace

// One call at a time, on a thread that may block, and what it needs: it may outlive the
// descriptor's owner.
struct AsyncFd::Call {
  explicit Call(const asio::any_io_executor& executor) : ended(executor) {}

  // Untouched pages cost nothing.
  const std::unique_ptr<char[]> bytes = std::make_unique_for_overwrite<char[]>(kCallBytes);
  // On the strand.
  ssize_t result = 0;
  bool isDone = false;
  Signal ended;
  std::mutex mutex;
  // Under the mutex.
  bool isBusy = false;
  Fd left;  // to be closed by the thread
};

void closeOnThread(common::Workers& workers, Fd fd) {
  if (!fd) return;
  const auto shared = std::make_shared<Fd>(std::move(fd));
  workers.post([shared] { shared->reset(); }).IgnoreError();
}

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

absl::StatusOr<std::unique_ptr<AsyncFd>> AsyncFd::adoptShared(const asio::any_io_executor& executor,
                                                              Fd fd, common::Workers& workers) {
  BERTH_ASSIGN_OR_RETURN(std::unique_ptr<AsyncFd> adopted, adopt(executor, std::move(fd)));
  adopted->workers_ = &workers;
  adopted->call_ = std::make_shared<Call>(executor);
  return adopted;
}

AsyncFd::AsyncFd(const asio::any_io_executor& executor) : descriptor_(executor) {}

AsyncFd::~AsyncFd() {
  close();
}

Task<absl::StatusOr<size_t>> AsyncFd::read(asio::mutable_buffer into) {
  while (descriptor_.is_open()) {
    if (endsAfterPresent_ && !left_) left_ = co_await present();
    if (left_ == size_t{0}) co_return size_t{0};
    const size_t most = std::min(into.size(), left_.value_or(into.size()));
    const ssize_t count = co_await readSome(asio::buffer(into, most));
    if (count >= 0) {
      if (left_) *left_ -= static_cast<size_t>(count);
      co_return static_cast<size_t>(count);
    }
    if (count == -EINTR) continue;
    if (count != -EAGAIN) co_return support::errnoStatus(static_cast<int>(-count), "read");
    if (!co_await waitReadable()) co_return size_t{0};
  }
  co_return absl::CancelledError("read: the descriptor was closed");
}

// Asked without the pipe's lock.
bool AsyncFd::isReady(short event) {
  pollfd state{.fd = descriptor_.native_handle(), .events = event, .revents = 0};
  return ::poll(&state, 1, 0) != 0;
}

Task<ssize_t> AsyncFd::readSome(asio::mutable_buffer into) {
  if (call_ == nullptr) {
    const ssize_t count = ::read(descriptor_.native_handle(), into.data(), into.size());
    co_return count >= 0 ? count : -errno;
  }
  if (!isReady(POLLIN)) co_return -EAGAIN;
  const ssize_t count =
      co_await onThread([](int fd, char* bytes, size_t size) { return ::read(fd, bytes, size); },
                        std::min(into.size(), kCallBytes));
  if (count > 0) std::memcpy(into.data(), call_->bytes.get(), static_cast<size_t>(count));
  co_return count;
}

Task<ssize_t> AsyncFd::writeSome(asio::const_buffer bytes) {
  if (call_ == nullptr) {
    const ssize_t count = ::write(descriptor_.native_handle(), bytes.data(), bytes.size());
    co_return count >= 0 ? count : -errno;
  }
  if (!isReady(POLLOUT)) co_return -EAGAIN;
  const size_t size = std::min(bytes.size(), kCallBytes);
  std::memcpy(call_->bytes.get(), bytes.data(), size);
  co_return co_await onThread(
      [](int fd, char* from, size_t count) { return ::write(fd, from, count); }, size);
}

// ECANCELED when close() came before its end.
Task<ssize_t> AsyncFd::onThread(SystemCall doing, size_t size) {
  const std::shared_ptr<Call> call = call_;
  call->isDone = false;
  call->isBusy = true;  // there is no thread that looks at it yet
  const asio::any_io_executor strand = descriptor_.get_executor();
  const int fd = descriptor_.native_handle();
  const bool grow = std::exchange(growing_, false);
  const absl::Status posted = workers_->post([call, strand, fd, grow, doing, size]() mutable {
    if (grow) ::fcntl(fd, F_SETPIPE_SZ, kBusyPipeBytes);
    const ssize_t count = doing(fd, call->bytes.get(), size);
    const ssize_t result = count >= 0 ? count : -errno;
    Fd left;
    {
      const std::lock_guard lock(call->mutex);
      call->isBusy = false;
      left = std::move(call->left);
    }
    // The last reference to its timer goes on the strand.
    asio::post(strand, [call = std::move(call), result] {
      call->result = result;
      call->isDone = true;
      call->ended.notify();
    });
  });
  if (!posted.ok()) {
    call->isBusy = false;
    co_return -ENOMEM;
  }
  co_await call->ended.until([&] { return call->isDone || !descriptor_.is_open(); });
  co_return call->isDone ? call->result : -ECANCELED;
}

// Bytes that the pipe holds.
Task<size_t> AsyncFd::present() {
  if (!isReady(POLLIN)) co_return 0;
  const int fd = descriptor_.native_handle();
  ssize_t count = 0;
  if (call_ == nullptr) {
    count = support::bytesIn(fd);
  } else {
    count = co_await onThread(
        [](int pipe, char*, size_t) -> ssize_t { return support::bytesIn(pipe); }, 0);
  }
  co_return static_cast<size_t>(std::max<ssize_t>(0, count));
}

Task<bool> AsyncFd::waitReadable() {
  if (left_) co_return false;
  if (endsAfterPresent_) co_return true;
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
    const ssize_t count = co_await writeSome(bytes);
    if (count >= 0) {
      bytes += static_cast<size_t>(count);
    } else if (count == -EAGAIN) {
      co_await descriptor_.async_wait(descriptor_base::wait_write, kAwait);
    } else if (count != -EINTR) {
      co_return support::errnoStatus(static_cast<int>(-count), "write");
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
  if (!descriptor_.is_open() || endsAfterPresent_) return;
  endsAfterPresent_ = true;
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
  if (call_ != nullptr) {
    growing_ = true;
    return;
  }
  // Fails on sockets, and past the user's share of pipes: the pipe stays as it is.
  ::fcntl(descriptor_.native_handle(), F_SETPIPE_SZ, kBusyPipeBytes);
}

void AsyncFd::shutdownWrite() {
  if (descriptor_.is_open()) ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

void AsyncFd::close() {
  if (!descriptor_.is_open()) return;
  if (call_ == nullptr) {
    error_code ignored;
    descriptor_.close(ignored);
    return;
  }
  Fd fd(descriptor_.release());
  {
    const std::lock_guard lock(call_->mutex);
    if (call_->isBusy) call_->left = std::move(fd);
  }
  call_->ended.notify();
  closeOnThread(*workers_, std::move(fd));
}

}  // namespace berth::streaming
