// The network in use, kept in step with the files.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "config.hpp"
#include "invoker.hpp"
#include "options.hpp"

namespace berth::cni {

// What one look at the directory gave. Never changes once made.
struct Snapshot {
  uint64_t generation = 0;                       // another one for each change of the files
  std::shared_ptr<const NetworkConfig> network;  // null: none is valid
  std::vector<std::string> problems;
  std::string fingerprint;
};

// Any thread. The lock is held while files are read and, for networks that offer several versions,
// while plugins say which ones they speak: only when files have changed.
class Networks {
 public:
  Networks(const Options& options, const Invoker& invoker) : options_(options), invoker_(invoker) {}

  // As the files are now: what was read before as long as they have not changed.
  std::shared_ptr<const Snapshot> current();

  // The network of current(), or FAILED_PRECONDITION with what is missing or wrong.
  absl::StatusOr<std::shared_ptr<const NetworkConfig>> network();

  // Looks again although the configuration has not changed: the binaries have.
  std::shared_ptr<const Snapshot> reload();

 private:
  std::shared_ptr<const Snapshot> load(const std::string& fingerprint);
  void settleVersion(NetworkConfig& network) const;

  const Options& options_;
  const Invoker& invoker_;
  std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
  uint64_t generation_ = 0;
};

// What to tell when a snapshot has no network.
absl::Status noNetwork(const Options& options, const Snapshot& snapshot);

}  // namespace berth::cni
