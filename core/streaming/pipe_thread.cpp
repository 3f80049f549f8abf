#include "streaming/pipe_thread.hpp"

#include <cerrno>
#include <thread>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/own_descriptors.hpp"

namespace berth::streaming {

using support::Fd;

absl::StatusOr<std::shared_ptr<PipeThread>> PipeThread::start(int fd, int other) {
  const auto made = std::make_shared<PipeThread>();
  BERTH_ASSIGN_OR_RETURN(std::thread thread,
                         support::startThread([made, fd, other] { made->run(fd, other); }));
  // It may be kept for longer than anybody here lives.
  thread.detach();
  BERTH_RETURN_IF_ERROR(made->begun_.get_future().get());
  return made;
}

void PipeThread::run(int fd, int other) {
  const absl::Status owned = support::returnThrown([fd, other] {
    return common::keepOwnDescriptors(other < 0 ? std::vector<int>{fd}
                                                : std::vector<int>{fd, other});
  });
  begun_.set_value(owned);
  if (!owned.ok()) return;
  Fd ownEnd(fd);
  Fd otherEnd(other);
  serve(ownEnd, otherEnd);
}

void PipeThread::serve(Fd& fd, Fd& other) {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return doing_ != nullptr || dropsOther_ || ends_; });
    if (std::exchange(dropsOther_, false)) {
      lock.unlock();
      other.reset();
      lock.lock();
    } else if (ends_) {
      return;
    } else {
      const SystemCall doing = std::exchange(doing_, nullptr);
      const size_t size = size_;
      lock.unlock();
      ssize_t result = doing(fd.get(), bytes_.get(), size);
      if (result < 0) result = -errno;
      lock.lock();
      if (const Done done = std::exchange(done_, nullptr)) done(result);
    }
  }
}

void PipeThread::call(SystemCall doing, size_t size, Done done) {
  const std::lock_guard lock(mutex_);
  if (ends_) return;
  doing_ = doing;
  size_ = size;
  done_ = std::move(done);
  wake_.notify_one();
}

void PipeThread::dropOther() {
  const std::lock_guard lock(mutex_);
  dropsOther_ = true;
  wake_.notify_one();
}

void PipeThread::end() {
  const std::lock_guard lock(mutex_);
  ends_ = true;
  done_ = nullptr;
  wake_.notify_one();
}

}  // namespace berth::streaming
