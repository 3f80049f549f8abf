// Whether new pods can work at all, as the kubelet is told (CRI, RuntimeCondition "RuntimeReady").
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "common/outage.hpp"
#include "store/store.hpp"

namespace berth::engine {

class Engine;

// A kubelet that hears of no readiness leaves all pods of its node alone. So it hears of none only
// once something that each new pod needs has been out for long without interruption, and of
// readiness at once when nothing is out any more. Thread-safe.
class Readiness {
 public:
  using Clock = std::chrono::steady_clock;

  // What each new pod needs.
  struct Need {
    std::string reason;  // in CamelCase, for programs: why there is no readiness while it is out
    // What is known of it. Must not block: each call of the CRI's Status asks.
    std::function<std::optional<common::Outage>()> outage;
  };

  explicit Readiness(std::vector<Need> needs) : needs_(std::move(needs)) {}

  struct Verdict {
    bool ready = true;
    std::string reason, message;  // why not
  };
  // A change is logged by whoever sees it first.
  Verdict judge(Clock::time_point now = Clock::now());

 private:
  const std::vector<Need> needs_;
  std::mutex mutex_;
  bool ready_ = true;  // as was said last
};

// Of the default runtime, its snapshotter and the records; other runtimes, and a disk that is full,
// do not count. Both must outlive the result, which is not to be asked after Engine::finish().
std::vector<Readiness::Need> needsOfPods(Engine& engine, const store::Store& store);

}  // namespace berth::engine
