// CNI plugins that a daemon which was killed has left at work.
//
// Plugins inherit the descriptor of a lock on their attachment's record, and pass it on to what
// they start: while one of them lives, the lock is held.
#pragma once

#include <chrono>
#include <string>

#include <absl/status/statusor.h>

#include "berth/plugin.hpp"
#include "berth/support/fd.hpp"

namespace berth::cni {

// Takes the lock of a record that has just been written, which nobody else has.
absl::StatusOr<support::Fd> lockRecord(const std::string& file);

// Takes the lock of a record once no plugin is at work for it any more. At `patience` those that
// still hold it get killed, and what is in sessions of theirs. Without a record none is at work,
// and the result is empty. CANCELLED or DEADLINE_EXCEEDED as the call says. Blocks; any thread.
absl::StatusOr<support::Fd> awaitPlugins(const Op& op, const std::string& file,
                                         std::chrono::steady_clock::time_point patience);

}  // namespace berth::cni
