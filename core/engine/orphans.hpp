// What exists without a record, because records were damaged or lost with their database. Nobody
// can manage it any more, and the kubelet, which does not see it, makes the same anew beside it: so
// it is ended, and reported.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "plugins/operation.hpp"
#include "plugins/snapshotter.hpp"

namespace berth::engine {

class Engine;

// A part of the engine's recovery. Thread-safe once all records are loaded.
class Orphans {
 public:
  explicit Orphans(Engine& engine) : engine_(engine) {}

  // Ids of pod sandboxes that are there, or are still being ended.
  std::vector<std::string> pods() const;
  // Sees to it that all are ended; each is tried until it is done (Retries).
  void end();

 private:
  absl::Status endPod(plugins::Operation& op, const std::string& id);
  absl::Status endContainer(plugins::Operation& op, const std::string& id);
  // What outlasts a reboot.
  absl::Status removeSnapshots(plugins::Operation& op, plugins::Snapshotter& snapshotter);
  absl::Status removeVolumes();
  bool exists(const std::string& container) const;

  Engine& engine_;
};

}  // namespace berth::engine
