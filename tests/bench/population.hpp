// Pods of one engine that stand at the same time.
#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "engine.hpp"

namespace berth::bench {

struct RunningPod {
  std::string pod;
  std::string container;
};

// Removes what it has started when it goes. Not thread-safe; the calls themselves run `width`
// threads.
class Population {
 public:
  explicit Population(Engine& engine) : engine_(engine) {}
  ~Population();
  Population(const Population&) = delete;
  Population& operator=(const Population&) = delete;

  // Starts `count` pods on CNI, each with its running container, `width` at once. The first
  // failure ends it; what is up then stays until removal.
  absl::Status grow(int count, int width);
  // Stops and removes them, `width` at once. Idempotent; works after an interrupt.
  absl::Status remove(int width);

  const std::vector<RunningPod>& pods() const { return pods_; }

 private:
  Engine& engine_;
  std::vector<RunningPod> pods_;
};

}  // namespace berth::bench
