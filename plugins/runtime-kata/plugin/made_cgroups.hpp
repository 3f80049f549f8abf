// The cgroups above those of containers that were not there before a pod needed them: its shim has
// them made, and nobody else would remove them.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "pod.hpp"

namespace berth::kata {

// Each pod keeps in its record which go with it. Thread-safe.
class MadeCgroups {
 public:
  // Writes into the record of a pod that has its link those that are to go with it: the missing
  // ones, and those that go with another pod, since that one may go first. From here on nobody
  // removes what the pod's containers are about to be made in. `links`: the folder of all pods'.
  absl::Status claim(Pod& pod, const std::string& links);
  // Removes those that go with the pod, unless another one claims them or has containers there:
  // with that one they go. Repeating it is fine.
  void release(const Pod& pod);

 private:
  bool isClaimedLocked(const std::string& folder) const;

  // Whoever claims has its record written before another one looks for whose they are.
  std::mutex mutex_;
  // By pod, of this process: a pod of before has its containers there, or makes none any more.
  std::map<std::string, std::vector<std::string>> claims_;
};

}  // namespace berth::kata
