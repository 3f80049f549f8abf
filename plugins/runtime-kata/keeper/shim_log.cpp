#include "shim_log.hpp"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "berth/streams/channel.hpp"
#include "berth/support/steps.hpp"

namespace berth::kata::keeper {

ShimLog::~ShimLog() {
  if (fifo_) loop_.remove(fifo_.get(), *this);
}

streams::Status ShimLog::open(const std::string& fifo, const std::string& file) {
  file_.reset(support::steps::create(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC, 0600));
  if (!file_) return streams::errnoFailure(errno, {"open ", file});
  size_ = ::lseek(file_.get(), 0, SEEK_END);
  // For writing, too: so it never ends, and a shim that is started anew finds a reader.
  fifo_.reset(::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fifo_) return streams::errnoFailure(errno, {"open the shim's log ", fifo});
  if (loop_.add(fifo_.get(), EPOLLIN, *this)) return {};
  return streams::errnoFailure(errno, {"watch the shim's log ", fifo});
}

void ShimLog::onReady(uint32_t) {
  using streams::Scratch;
  const ssize_t count = ::read(fifo_.get(), Scratch::bytes, Scratch::kSize);
  if (count <= 0) return;
  if (size_ + count > kMaxBytes && ::ftruncate(file_.get(), 0) == 0) size_ = 0;
  const ssize_t written = ::write(file_.get(), Scratch::bytes, static_cast<size_t>(count));
  if (written > 0) size_ += written;
}

}  // namespace berth::kata::keeper
