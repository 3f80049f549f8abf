// What containers have written, in their writable layers.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "common/workers.hpp"
#include "plugins/operation.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::engine {

// Measuring walks a layer, which may hold millions of files: it is done in the background, one
// layer at a time, and only for layers that are asked for. Thread-safe.
class LayerUsages {
 public:
  using Clock = std::chrono::steady_clock;
  struct Reading {
    plugins::Usage usage;
    int64_t timestamp = 0;  // CLOCK_REALTIME, nanoseconds
  };
  // NOT_FOUND when there is no such container any more.
  using Measure = std::function<absl::StatusOr<plugins::Usage>(const plugins::Operation& op,
                                                               const std::string& container)>;
  enum class Content {
    kChanging,  // processes write to it
    kFinal,     // a reading from after its end stays good
  };

  static constexpr std::chrono::seconds kAge{10};

  // `workers` must outlive it; `measure` blocks, and ends soon after its operation is cancelled.
  // `age`: how long a reading is good for; longer where measuring takes long.
  LayerUsages(common::Workers& workers, Measure measure, Clock::duration age = kAge)
      : workers_(workers), measure_(std::move(measure)), age_(age) {}
  LayerUsages(const LayerUsages&) = delete;
  LayerUsages& operator=(const LayerUsages&) = delete;

  // What was found last, if anything was; has it found anew when that is old. Never blocks.
  std::optional<Reading> get(const std::string& container, Content content);
  // The layer is about to go: ends its measuring.
  void forget(const std::string& container);
  // Ends all measuring; nothing is measured afterwards. Before the workers are finished.
  void finish();

 private:
  struct Entry {
    std::optional<Reading> reading;
    Clock::time_point due = Clock::time_point::min();
    bool queued = false;
    bool final = false;  // the reading is of a layer that had ended
  };

  void run();
  void keep(const std::string& container, Content content,
            const absl::StatusOr<plugins::Usage>& usage, Clock::duration took);

  common::Workers& workers_;
  const Measure measure_;
  const Clock::duration age_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::deque<std::pair<std::string, Content>> queue_;
  std::unique_ptr<plugins::Operation> current_;  // set and reset by the thread that measures
  std::string measured_;
  bool running_ = false;
  bool finished_ = false;
};

}  // namespace berth::engine
