// The cgroups above containers that were not there before a pod needed them: the runtime binary
// makes them, and nobody else would remove them.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cgroup_layout.hpp"

namespace berth::runc {

// Kept in a file, so that they are known after a restart; instances that work beside each other
// keep theirs in the same one. Thread-safe.
class OwnedCgroups {
 public:
  OwnedCgroups(const CgroupLayout& layout, std::string file)
      : layout_(layout), file_(std::move(file)) {}

  // Reads the file, once, before anything else. DATA_LOSS when it is damaged: none are known then.
  // FAILED_PRECONDITION when a newer plugin wrote it: neither, and it stays as it is.
  absl::Status load();

  // To be called before a container of a pod is made under cgroup `path`, which stays from here on
  // until the pod releases it.
  absl::Status claim(const std::string& pod, const std::string& path);
  // Removes those that are ours and that nobody uses any more: at and above `paths` and what the
  // pod has claimed.
  absl::Status release(const std::string& pod, std::set<std::string> paths);

 private:
  absl::Status releaseLocked(const std::string& path);
  bool isClaimedLocked(const std::string& path) const;
  absl::Status saveLocked();
  // Of the file, as it is now.
  absl::StatusOr<std::set<std::string>> read() const;

  const CgroupLayout& layout_;
  const std::string file_;
  std::mutex mutex_;
  std::set<std::string> directories_;
  std::set<std::string> saved_;  // of these, what is in the file
  bool isOthers_ = false;        // the file
  // By pod, of this process: what a pod of before has a container in is claimed again when that is
  // loaded.
  std::map<std::string, std::set<std::string>> claims_;
};

}  // namespace berth::runc
