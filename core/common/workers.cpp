#include "common/workers.hpp"

#include <chrono>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"
#include "common/log.hpp"

namespace berth::common {

namespace {
constexpr std::chrono::seconds kIdle{10};
}

Workers::Workers() : reserve_([this] { reserveMain(); }) {}

void Workers::finish() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
    wakeReserve_.notify_all();
    done_.wait(lock, [this] { return threads_ == 0; });
  }
  if (reserve_.joinable()) reserve_.join();
}

absl::Status Workers::post(Work work) {
  std::lock_guard lock(mutex_);
  return give(work);
}

void Workers::postSurely(Work work) {
  std::lock_guard lock(mutex_);
  if (give(work).ok()) return;
  waiting_.push_back(std::move(work));
  wakeReserve_.notify_one();
}

Workers::Load Workers::load() const {
  const std::lock_guard lock(mutex_);
  return {threads_, idle_, waiting_.size()};
}

// Under the lock. Takes the work only when there is a thread for it.
absl::Status Workers::give(Work& work) {
  if (idle_ > queue_.size()) {
    queue_.push_back(std::move(work));
    wake_.notify_one();
    return absl::OkStatus();
  }
  auto thread = support::startThread([this] { threadMain(); });
  if (!thread.ok()) return thread.status();
  thread->detach();
  ++threads_;
  queue_.push_back(std::move(work));
  return absl::OkStatus();
}

// Under the lock, which is given up while the work runs.
void Workers::runNext(std::unique_lock<std::mutex>& lock, std::deque<Work>& queue) {
  Work work = std::move(queue.front());
  queue.pop_front();
  lock.unlock();
  const absl::Status status = support::returnThrown([&] {
    work();
    return absl::OkStatus();
  });
  if (!status.ok()) logError("work has ended by an exception", {{"error", status.ToString()}});
  work = nullptr;  // what it holds is freed outside the lock
  lock.lock();
}

void Workers::threadMain() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty() && waiting_.empty()) {
      ++idle_;
      const bool woken =
          wake_.wait_for(lock, kIdle, [this] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (!woken || (queue_.empty() && waiting_.empty())) break;
    }
    runNext(lock, queue_.empty() ? waiting_ : queue_);
  }
  --threads_;
  // Under the lock: the destructor may free *this as soon as it sees zero.
  done_.notify_all();
}

void Workers::reserveMain() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wakeReserve_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    runNext(lock, waiting_);
  }
}

}  // namespace berth::common
