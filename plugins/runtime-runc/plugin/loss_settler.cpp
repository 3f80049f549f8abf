#include "loss_settler.hpp"

#include <cerrno>
#include <sys/eventfd.h>
#include <system_error>

#include "berth/support/status.hpp"

namespace berth::runc {

namespace {
// A node does not lose more pods than this at once and have all of them hang.
constexpr size_t kMostThreads = 128;
}  // namespace

absl::Status LossSettler::start() {
  stopping_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopping_) return support::errnoStatus(errno, "make an eventfd");
  const std::lock_guard lock(mutex_);
  try {
    addThreadLocked();
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        support::strCat("start a thread for lost monitors: ", error.what()));
  }
  return absl::OkStatus();
}

void LossSettler::post(const std::string& pod) {
  {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    losses_.push_back(pod);
    if (losses_.size() > idle_ && threads_.size() < kMostThreads) {
      try {
        addThreadLocked();
      } catch (const std::system_error&) {
        // The next thread that has settled another loss takes it.
      }
    }
  }
  added_.notify_one();
}

void LossSettler::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
    threads.swap(threads_);
  }
  if (stopping_) (void)::eventfd_write(stopping_.get(), 1);
  added_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

void LossSettler::addThreadLocked() {
  threads_.emplace_back([this] { run(); });
  // From here on, so that the next loss does not count on it as well.
  ++idle_;
}

void LossSettler::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    added_.wait(lock, [this] { return end_ || !losses_.empty(); });
    if (end_) return;
    const std::string pod = std::move(losses_.front());
    losses_.pop_front();
    --idle_;
    lock.unlock();
    settle_(pod);
    lock.lock();
    ++idle_;
  }
}

}  // namespace berth::runc
