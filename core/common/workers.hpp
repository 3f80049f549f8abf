// Threads for work that blocks.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>

namespace berth::common {

// Runs each piece of work at once on a thread of its own; threads are kept for a while and used
// again. There is no upper bound: what is posted comes from callers that wait for it, whose number
// is bounded already.
class Workers {
 public:
  Workers() = default;
  ~Workers() { finish(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  // std::system_error, and nothing is done, when there is no thread to be had.
  void post(std::function<void()> work);
  // Waits for all work and ends the threads; nothing may be posted afterwards. Idempotent.
  void finish();

 private:
  void threadMain();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::deque<std::function<void()>> queue_;
  size_t idle_ = 0;
  size_t threads_ = 0;
  bool stopping_ = false;
};

}  // namespace berth::common
