#include "loss_settler.hpp"

#include <algorithm>
#include <cerrno>
#include <sys/eventfd.h>
#include <utility>

#include "berth/support/status.hpp"
#include "berth/support/threads.hpp"

namespace berth::runc {

namespace {

// A node does not lose more pods than this at once and have all of them hang.
constexpr size_t kMostThreads = 128;

constexpr std::chrono::milliseconds kLongestPause{30000};

}  // namespace

absl::Status LossSettler::start() {
  stopping_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopping_) return support::errnoStatus(errno, "make an eventfd");
  const std::lock_guard lock(mutex_);
  return support::annotate(addThreadLocked(), "start a thread for lost monitors");
}

void LossSettler::post(const std::string& pod) {
  {
    const std::lock_guard lock(mutex_);
    if (end_) return;
    const auto known = findLocked(pod);
    if (known == losses_.end()) {
      losses_.push_back({.pod = pod});
    } else if (known->atWork) {
      known->postedAgain = true;
    } else {
      known->due = {};
    }
    const auto waiting = std::count_if(losses_.begin(), losses_.end(),
                                       [](const Loss& loss) { return !loss.atWork; });
    // Without another thread the next that has settled something takes it.
    if (static_cast<size_t>(waiting) > idle_ && threads_.size() < kMostThreads)
      addThreadLocked().IgnoreError();
  }
  changed_.notify_one();
}

void LossSettler::stop() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    end_ = true;
    threads.swap(threads_);
  }
  if (stopping_) (void)::eventfd_write(stopping_.get(), 1);
  changed_.notify_all();
  for (std::thread& thread : threads) thread.join();
}

absl::Status LossSettler::addThreadLocked() {
  BERTH_ASSIGN_OR_RETURN(std::thread thread, support::startThread([this] { run(); }));
  threads_.push_back(std::move(thread));
  // From here on, so that the next loss does not count on it as well.
  ++idle_;
  return absl::OkStatus();
}

LossSettler::Losses::iterator LossSettler::findLocked(const std::string& pod) {
  return std::find_if(losses_.begin(), losses_.end(),
                      [&](const Loss& loss) { return loss.pod == pod; });
}

LossSettler::Losses::iterator LossSettler::earliestLocked() {
  auto earliest = losses_.end();
  for (auto loss = losses_.begin(); loss != losses_.end(); ++loss) {
    if (!loss->atWork && (earliest == losses_.end() || loss->due < earliest->due)) earliest = loss;
  }
  return earliest;
}

void LossSettler::run() {
  std::unique_lock lock(mutex_);
  while (!end_) {
    const auto next = earliestLocked();
    if (next == losses_.end()) {
      changed_.wait(lock);
    } else if (const auto due = next->due; due > Clock::now()) {
      changed_.wait_until(lock, due);
    } else {
      next->atWork = true;
      --idle_;
      // Whoever sleeps without a limit takes over what is due later.
      changed_.notify_one();
      lock.unlock();
      const bool isSettled = settle(*next);
      lock.lock();
      ++idle_;
      next->atWork = false;
      if (std::exchange(next->postedAgain, false)) {
        next->due = {};
      } else if (isSettled) {
        losses_.erase(next);
      }
    }
  }
}

// True when there is nothing more to do about it.
bool LossSettler::settle(Loss& loss) {
  const absl::Status status = settle_(loss.pod);
  if (status.ok()) return true;
  if (const std::string text = status.ToString(); loss.said != text) {
    host_.warn("a lost connection to a pod's monitor is not settled; it is tried again",
               {{"pod", loss.pod}, {"error", text}});
    loss.said = text;
  }
  loss.due = Clock::now() + pauseAfter(++loss.attempts);
  return false;
}

std::chrono::milliseconds LossSettler::pauseAfter(unsigned attempts) const {
  constexpr unsigned kMostDoublings = 5;
  return std::min(firstPause_ * (1u << std::min(attempts - 1, kMostDoublings)), kLongestPause);
}

}  // namespace berth::runc
