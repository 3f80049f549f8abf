#include "common/workers.hpp"

#include <chrono>
#include <thread>

namespace berth::common {

namespace {
constexpr std::chrono::seconds kIdle{10};
}

void Workers::finish() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  wake_.notify_all();
  done_.wait(lock, [this] { return threads_ == 0; });
}

void Workers::post(std::function<void()> work) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(work));
  if (idle_ >= queue_.size()) {
    wake_.notify_one();
    return;
  }
  try {
    std::thread([this] { threadMain(); }).detach();
  } catch (...) {
    queue_.pop_back();
    throw;
  }
  ++threads_;
}

void Workers::threadMain() {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (queue_.empty()) {
      ++idle_;
      const bool woken =
          wake_.wait_for(lock, kIdle, [this] { return stopping_ || !queue_.empty(); });
      --idle_;
      if (!woken || queue_.empty()) break;
    }
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // what it holds is freed outside the lock
    lock.lock();
  }
  --threads_;
  // Under the lock: the destructor may free *this as soon as it sees zero.
  done_.notify_all();
}

}  // namespace berth::common
