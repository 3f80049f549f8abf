// What containers have written, in their writable layers.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "common/workers.hpp"
#include "plugins/operation.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::engine {

// Measuring walks a layer, which may hold millions of files: it is done in the background, and only
// for layers that are asked for; one at a time, as long as that comes back promptly. Beside one
// that does not, another is measured: of each snapshotter a few at most, so that one that does not
// answer holds up no other. Thread-safe.
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

  struct Times {
    // How long a reading is good for; longer where measuring takes long.
    Clock::duration age = std::chrono::seconds(10);
    Clock::duration prompt = std::chrono::seconds(5);  // how long the next layer waits
  };

  // `workers` must outlive it; `measure` blocks, and ends soon after its operation is cancelled.
  LayerUsages(common::Workers& workers, Measure measure)
      : LayerUsages(workers, std::move(measure), Times()) {}
  LayerUsages(common::Workers& workers, Measure measure, Times times)
      : workers_(workers), measure_(std::move(measure)), times_(times) {}
  LayerUsages(const LayerUsages&) = delete;
  LayerUsages& operator=(const LayerUsages&) = delete;

  // What was found last, if anything was; has it found anew when that is old. Never blocks.
  std::optional<Reading> get(const std::string& container, const std::string& snapshotter,
                             Content content);
  // The layer is about to go: ends its measuring.
  void forget(const std::string& container);
  // Ends all measuring; nothing is measured afterwards. Before the workers are finished.
  void finish();

 private:
  struct Entry {
    std::optional<Reading> reading;
    Clock::time_point due = Clock::time_point::min();
    bool wanted = false;  // it is in the queue, or being measured
    bool final = false;   // the reading is of a layer that had ended
  };
  struct Layer {
    std::string container;
    std::string snapshotter;
    Content content;
  };
  struct Measuring {
    explicit Measuring(Layer one);
    const Layer layer;
    plugins::Operation op;
  };

  // All but run() with the mutex held.
  void provideThread();
  bool nextIsSoon() const;
  std::deque<Layer>::iterator next();
  void run();
  void keep(const Measuring& one, const absl::StatusOr<plugins::Usage>& usage);

  common::Workers& workers_;
  const Measure measure_;
  const Times times_;
  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  std::deque<Layer> queue_;
  std::list<Measuring> measuring_;
  bool coming_ = false;  // a thread that has not looked at the queue yet
  bool finished_ = false;
};

}  // namespace berth::engine
