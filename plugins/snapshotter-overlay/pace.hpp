// How work that nobody waits for goes on beside work that somebody waits for.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>

namespace berth::overlay {

// One thread works at this pace: without a pause while the others are at rest, and else for a
// moment now and then. It has no low priority: if the kernel took the processor away from it in the
// midst of a change to the file system, the journal and all who sync would wait for it. And it
// holds no lock while it pauses. work() is for any thread.
class Pace {
 public:
  using Clock = std::chrono::steady_clock;
  // Others are at rest once none has worked for so long: their calls are parts of something longer.
  static constexpr std::chrono::milliseconds kRest{100};
  static constexpr std::chrono::milliseconds kPause{100};
  static constexpr std::chrono::milliseconds kTurn{1};

  struct Surroundings {
    std::function<Clock::time_point()> now = Clock::now;
    // Blocks for so long, or less.
    std::function<void(Clock::duration)> pause;
    // Whether what is being done is wanted soon after all. Asked before each pause.
    std::function<bool()> hurried;
  };
  explicit Pace(Surroundings surroundings) : surroundings_(std::move(surroundings)) {}

  // Work that somebody waits for, until its end.
  class Work {
   public:
    explicit Work(Pace& pace) : pace_(pace) { ++pace_.working_; }
    Work(const Work&) = delete;
    Work& operator=(const Work&) = delete;
    ~Work();

   private:
    Pace& pace_;
  };

  // Before each small step; blocks.
  void step();

 private:
  bool othersRest(Clock::time_point now) const;

  const Surroundings surroundings_;
  std::atomic<int> working_ = 0;
  std::atomic<Clock::rep> worked_ = Clock::duration::min().count();  // when the last one ended
  Clock::time_point turn_ = Clock::time_point::min();                // when it began
};

}  // namespace berth::overlay
