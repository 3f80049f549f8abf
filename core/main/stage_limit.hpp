// The daemon's start and its end take no longer than they may, and say what they are at: what hangs
// in one of their stages is not waited for beyond its time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace berth::program {

// Of each plugin's loading and of its start, and of all snapshotters together until they have
// listed their layers, which has an end of its own before.
inline constexpr std::chrono::seconds kStartTime{70};
// What takes longer is worth a word.
inline constexpr std::chrono::seconds kLongStage{5};

// Not thread-safe: whoever starts and ends the daemon goes through the stages one after another.
class StageLimit {
 public:
  // Called on a thread of its own, with what was waited for, once a stage has not ended in its
  // time; it does not return to work that goes on.
  using Expired = std::function<void(const std::string& stage)>;

  // Who else hears of the stages.
  struct Listeners {
    // Each as it begins, with how long it may take.
    std::function<void(const std::string& stage, std::chrono::milliseconds time)> begun;
    // Called on a thread of its own, once, of a stage that has gone on for so long.
    std::function<void(const std::string& stage)> lasts;
    std::chrono::milliseconds longTime = kLongStage;
  };

  explicit StageLimit(Expired expired = endProcess) : StageLimit(std::move(expired), {}) {}
  StageLimit(Expired expired, Listeners listeners)
      : expired_(std::move(expired)), listeners_(std::move(listeners)) {}
  StageLimit(const StageLimit&) = delete;
  StageLimit& operator=(const StageLimit&) = delete;
  ~StageLimit();

  // The stage that begins now, in place of the one before, and how long it may take. Without a
  // thread to be had it may take any time, and the log says so.
  void begin(std::string stage, std::chrono::milliseconds time);
  // The same of a stage that waits for no plugin: only others are told of its time.
  void expect(std::string stage, std::chrono::milliseconds time);
  // The last stage has ended, and what follows may take any time.
  void end();
  // What is waited for; empty: nothing.
  std::string stage() const;

  // Ends the process as if it had crashed, with status 1; the log says for what it has not waited,
  // and what operations were under way.
  static void endProcess(const std::string& stage);

 private:
  using Clock = std::chrono::steady_clock;

  void change(std::string stage, std::chrono::milliseconds time, Clock::time_point end);
  void watch();

  const Expired expired_;
  const Listeners listeners_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string stage_;
  Clock::time_point end_ = Clock::time_point::max();
  Clock::time_point long_ = Clock::time_point::max();  // from when on it lasts
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace berth::program
