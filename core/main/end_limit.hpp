// The daemon's end has an end: what hangs in it is not waited for beyond its time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace berth::program {

// Not thread-safe: whoever ends the daemon goes through its stages one after another.
class EndLimit {
 public:
  // Called on a thread of its own, with what was waited for, once a stage has not ended in its
  // time; it does not return to work that goes on.
  using Expired = std::function<void(const std::string& stage)>;

  explicit EndLimit(Expired expired = endProcess) : expired_(std::move(expired)) {}
  EndLimit(const EndLimit&) = delete;
  EndLimit& operator=(const EndLimit&) = delete;
  ~EndLimit();

  // The stage that begins now, in place of the one before, and how long it may take. Without a
  // thread to be had it may take any time, and the log says so.
  void begin(std::string stage, std::chrono::milliseconds time);

 private:
  // Ends the process as if it had crashed, with status 1; the log says for what it has not waited,
  // and what operations were under way.
  static void endProcess(const std::string& stage);
  void watch();

  const Expired expired_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string stage_;
  std::chrono::steady_clock::time_point end_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace berth::program
