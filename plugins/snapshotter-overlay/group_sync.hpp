// Syncs of one file system, shared: syncfs() writes out everything there is, so that layers which
// are finished while one sync runs all take part in the next.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include <absl/status/status.h>

#include "berth/support/fd.hpp"

namespace berth::overlay {

class GroupSync {
 public:
  // A descriptor of the file system, kept open: the kernel reports lost writes to those who had it
  // open at the time.
  explicit GroupSync(support::Fd fileSystem) : fileSystem_(std::move(fileSystem)) {}

  // Returns once everything written before the call is durable.
  absl::Status sync();

 private:
  const support::Fd fileSystem_;
  std::mutex mutex_;
  std::condition_variable done_;
  uint64_t begun_ = 0;
  uint64_t ended_ = 0;
  uint64_t failed_ = 0;  // the latest round that failed
  absl::Status failure_;
};

}  // namespace berth::overlay
