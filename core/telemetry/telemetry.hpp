// Hears of operations and plugin calls: remembers, counts, and logs them.
#pragma once

#include <memory>

#include "telemetry/metrics.hpp"
#include "telemetry/timelines.hpp"

namespace berth::telemetry {

class Telemetry final : public plugins::Observer {
 public:
  // Counting costs time and memory: `counts` says whether anybody is to ask for it.
  explicit Telemetry(bool counts) : metrics_(counts ? std::make_unique<Metrics>() : nullptr) {}

  // In the log, at the level debug, an operation is a span, and so is each of its stages: with
  // their begins and times, in the trace of who asked for it.
  void onOperation(plugins::Timeline timeline) override;
  void onCall(const plugins::Instance& instance, bool failed,
              std::chrono::nanoseconds took) override;

  const Timelines& timelines() const { return timelines_; }
  Metrics* metrics() { return metrics_.get(); }  // null: nothing is counted

 private:
  Timelines timelines_;
  const std::unique_ptr<Metrics> metrics_;
};

}  // namespace berth::telemetry
