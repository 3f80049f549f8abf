#include "berth/streams/channel.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace berth::streams {

namespace {

// A reader takes what there is at once, or when its process asks for it.
constexpr int64_t kFirstPauseNs = 1'000'000;
constexpr int64_t kLongestPauseNs = 1'000'000'000;

bool wouldBlock() {
  return errno == EAGAIN || errno == EINTR;
}

}  // namespace

char Scratch::bytes[Scratch::kSize];

void setNonBlocking(int fd) {
  const int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_NONBLOCK) == 0) fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

// ---- Sink --------------------------------------------------------------------------------------

Sink::Sink(Loop& loop, SinkListener& listener, Fd fd, int64_t stuckAfterNs)
    : loop_(loop), listener_(listener), fd_(std::move(fd)), stuckAfterNs_(stuckAfterNs) {
  setNonBlocking(fd_.get());
  // No event is asked for, but that the other side has closed is told anyway. A regular file
  // cannot be watched, and needs it not: its writes never wait.
  watched_ = loop_.add(fd_.get(), 0, *this);
}

size_t Sink::writeSome(std::string_view data) {
  const ssize_t count = write(fd_.get(), data.data(), data.size());
  if (count >= 0) return static_cast<size_t>(count);
  if (!wouldBlock()) close();
  return 0;
}

void Sink::offer(std::string_view data) {
  if (gone()) return;
  if (backlog_.empty()) data.remove_prefix(writeSome(data));
  if (gone()) {
    listener_.onSinkGone();
    return;
  }
  if (data.empty()) return;
  const bool first = backlog_.empty();
  backlog_.append(data);
  if (first && watched_) loop_.modify(fd_.get(), EPOLLOUT, *this);
  if (full() && due == 0) giveUpLater();
}

void Sink::giveUpLater() {
  if (stuckAfterNs_ != kNeverStuck) loop_.arm(*this, stuckAfterNs_);
}

void Sink::flush() {
  const bool wasFull = full();
  const size_t count = writeSome(std::string_view(backlog_).substr(sent_));
  if (gone()) {
    listener_.onSinkGone();
    return;
  }
  sent_ += count;
  if (sent_ == backlog_.size()) {
    std::string().swap(backlog_);
    sent_ = 0;
    loop_.modify(fd_.get(), 0, *this);
    if (finishing_) return closeAndTell();
  } else if (sent_ >= kBacklogLimit) {
    // A reader that is slower than the producer never sees the backlog empty.
    backlog_.erase(0, sent_);
    sent_ = 0;
  }
  if (finishing_) {
    // Nobody waits for it any more: it may take its time as long as it takes something.
    if (count > 0) giveUpLater();
  } else if (!full()) {
    loop_.disarm(*this);
  }
  if (wasFull && !full()) listener_.onSinkSpace();
}

void Sink::finish() {
  finishing_ = true;
  if (gone()) return;
  if (backlog_.empty()) return closeAndTell();
  // Nobody is paused for it any more, but it must not wait for ever.
  giveUpLater();
}

void Sink::onReady(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) return closeAndTell();
  if ((events & EPOLLOUT) != 0) flush();
}

void Sink::onTimer() {
  closeAndTell();
}

void Sink::close() {
  if (!fd_) return;
  loop_.disarm(*this);
  if (watched_) loop_.remove(fd_.get(), *this);
  fd_.reset();
}

void Sink::closeAndTell() {
  close();
  listener_.onSinkGone();
}

// ---- InputPipe ---------------------------------------------------------------------------------

InputPipe::InputPipe(Loop& loop, InputListener& listener, Fd fd, Fd standIn)
    : loop_(loop),
      listener_(listener),
      fd_(std::move(fd)),
      standIn_(std::move(standIn)),
      readerComesLater_(static_cast<bool>(standIn_)) {
  setNonBlocking(fd_.get());
}

void InputPipe::push(std::string_view data) {
  if (!fd_ || finishing_) return;
  backlog_.append(data);
  if (!watched_) flush();
}

void InputPipe::flush() {
  const bool wasFull = full();
  while (!backlog_.empty()) {
    const ssize_t count = write(fd_.get(), backlog_.data(), backlog_.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      close();  // nobody reads the input any more
      listener_.onInputSpace();
      return;
    }
    backlog_.erase(0, static_cast<size_t>(count));
  }
  if (backlog_.empty()) {
    std::string().swap(backlog_);
    if (watched_) loop_.remove(fd_.get(), *this);
    watched_ = false;
    if (finishing_) {
      closeOnceRead();
      listener_.onInputSpace();
      return;
    }
  } else if (!watched_) {
    watched_ = loop_.add(fd_.get(), EPOLLOUT, *this);
  }
  if (wasFull && !full()) listener_.onInputSpace();
}

void InputPipe::finish() {
  if (std::exchange(finishing_, true) || !fd_) return;
  if (backlog_.empty()) closeOnceRead();
}

// No event tells of a FIFO that is read.
void InputPipe::closeOnceRead() {
  standIn_.reset();
  if (isRead()) return close();
  pauseNs_ = std::clamp(2 * pauseNs_, kFirstPauseNs, kLongestPauseNs);
  loop_.arm(*this, pauseNs_);
}

bool InputPipe::isRead() const {
  if (!readerComesLater_) return true;
  // Without a reader a writing end is in error, and what it holds stays with it.
  pollfd end{.fd = fd_.get()};
  if (::poll(&end, 1, 0) != 0) return false;
  int left = 0;
  return ::ioctl(fd_.get(), FIONREAD, &left) != 0 || left == 0;
}

void InputPipe::onReady(uint32_t) {
  flush();
}

void InputPipe::onTimer() {
  closeOnceRead();
  if (!fd_) listener_.onInputSpace();
}

void InputPipe::close() {
  if (!fd_) return;
  loop_.disarm(*this);
  if (watched_) loop_.remove(fd_.get(), *this);
  watched_ = false;
  fd_.reset();
  standIn_.reset();
  std::string().swap(backlog_);
}

// ---- Source ------------------------------------------------------------------------------------

Source::Source(Loop& loop, SourceListener& listener, Fd fd)
    : loop_(loop), listener_(listener), fd_(std::move(fd)) {
  setNonBlocking(fd_.get());
  resume();
}

void Source::resume() {
  if (!fd_ || watched_) return;
  watched_ = loop_.add(fd_.get(), EPOLLIN, *this);
  // What cannot be watched (a file, /dev/null) can always be read; from the loop, because the
  // listener is not ready for data here.
  if (!watched_) loop_.arm(*this, 0);
}

void Source::pause() {
  loop_.disarm(*this);
  if (watched_) loop_.remove(fd_.get(), *this);
  watched_ = false;
}

void Source::onReady(uint32_t) {
  const ssize_t count = read(fd_.get(), Scratch::bytes, Scratch::kSize);
  if (count < 0 && wouldBlock()) return;
  if (count <= 0) {
    close();
    listener_.onSourceEnd();
    return;
  }
  if (!watched_) loop_.arm(*this, 0);
  listener_.onSourceData({Scratch::bytes, static_cast<size_t>(count)});
}

void Source::onTimer() {
  onReady(EPOLLIN);
}

void Source::close() {
  if (!fd_) return;
  pause();
  fd_.reset();
}

}  // namespace berth::streams
