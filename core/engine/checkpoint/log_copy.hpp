// A container's log in its checkpoint.
#pragma once

#include <cstdint>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "berth/support/fd.hpp"
#include "engine/checkpoint/archive.hpp"

namespace berth::checkpoint {

// A log as it is at one moment. A log may be large, and only what is appended to it changes it: so
// it is looked at while its container is paused, and copied when that goes on.
class LogCopy {
 public:
  // None, for what has no log.
  LogCopy() = default;
  // A log that is not there, or whose path is empty, is none.
  static absl::StatusOr<LogCopy> look(const std::string& path);

  // Writes what the log had then to a new file, also when it was renamed since. `check` is asked
  // for every piece. Blocks.
  absl::Status writeTo(const std::string& path, const Check& check) const;

 private:
  support::Fd file_;
  uint64_t size_ = 0;
};

}  // namespace berth::checkpoint
