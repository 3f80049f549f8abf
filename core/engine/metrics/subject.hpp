// What metrics are made of: everything that is known of one container or pod.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cri-runtime-v1.pb.h"
#include "plugins/runtime.hpp"

namespace berth::metrics {

// The labels that every metric has, under cAdvisor's names.
struct Labels {
  std::string container;  // its name in the pod; empty for the pod itself
  std::string id;         // path of the cgroup
  std::string image;      // as the pod's specification names it; empty for the pod itself
  std::string name;       // the CRI id
  std::string podNamespace;
  std::string pod;
};

// The writable layer and the file system that it is on.
struct Filesystem {
  std::string device;  // "/dev/sda1"
  uint64_t capacity = 0;
  uint64_t inodes = 0;
  uint64_t inodesFree = 0;
  std::optional<uint64_t> used;  // bytes of the layer
  int64_t usedAt = 0;            // when that was found out: CLOCK_REALTIME, nanoseconds
};

// How many threads want a CPU, or are in uninterruptible sleep, smoothed over ten seconds.
struct Load {
  double running = 0;
  double uninterruptible = 0;
};

// Pointers are borrowed; null for what is not known.
struct Subject {
  Labels labels;
  const plugins::Stats* stats = nullptr;
  const runtime::v1::LinuxContainerResources* resources = nullptr;
  const Filesystem* filesystem = nullptr;
  const Load* load = nullptr;
  int64_t now = 0;  // all three: CLOCK_REALTIME, nanoseconds
  int64_t createdAt = 0;
  int64_t startedAt = 0;  // 0: not yet

  bool has(uint32_t groups) const { return stats != nullptr && stats->has(groups); }
  const berth_stats& raw() const { return stats->raw; }
};

}  // namespace berth::metrics
