// The operations on pods and containers that ended last.
#pragma once

#include <deque>
#include <mutex>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

#include "plugins/observer.hpp"

namespace berth::telemetry {

// Thread-safe.
class Timelines {
 public:
  // In the place of the oldest one; what was about no object is of no interest.
  void add(plugins::Timeline timeline);

  // Those of one pod and its containers, the oldest first. `object` is an id of the pod or of one
  // of its containers, the beginning of one, or the name under which the pod was run:
  // "namespace/name", or the name alone. NOT_FOUND when nothing is known, FAILED_PRECONDITION when
  // it may mean more than one pod, which are named.
  absl::StatusOr<std::vector<plugins::Timeline>> of(std::string_view object) const;

 private:
  mutable std::mutex mutex_;
  std::deque<plugins::Timeline> timelines_;
};

}  // namespace berth::telemetry
