// Threads for work that blocks.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include <absl/status/status.h>

namespace berth::common {

// Runs each piece of work at once on a thread of its own; threads are kept for a while and used
// again. There is no upper bound: what is posted comes from callers that wait for it, whose number
// is bounded already. What work throws is logged, and its thread goes on. Thread-safe.
class Workers {
 public:
  using Work = std::function<void()>;

  Workers();
  ~Workers() { finish(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // RESOURCE_EXHAUSTED, and nothing is done, when there is no thread to be had.
  [[nodiscard]] absl::Status post(Work work);
  // For work that must be done and that nobody waits for: when there is no thread to be had, it
  // waits for one of those that are there. One is kept for this alone, and what waits there
  // holds up the rest: `work` must have an end of its own, such as a deadline.
  void postSurely(Work work);
  struct Load {
    size_t threads = 0;  // those that work, and those that wait for some
    size_t idle = 0;
    size_t waiting = 0;  // work for which there is no thread
  };
  Load load() const;
  // Waits for all work and ends the threads; nothing may be posted afterwards. Idempotent.
  void finish();

 private:
  absl::Status give(Work& work);
  void threadMain();
  void reserveMain();
  void runNext(std::unique_lock<std::mutex>& lock, std::deque<Work>& queue);

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable wakeReserve_;
  std::condition_variable done_;
  std::deque<Work> queue_;
  std::deque<Work> waiting_;  // for any thread that is free, the reserve's at the latest
  size_t idle_ = 0;
  size_t threads_ = 0;
  bool stopping_ = false;
  std::thread reserve_;
};

}  // namespace berth::common
