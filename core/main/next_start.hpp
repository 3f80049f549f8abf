// Whether the daemon would start with another configuration, found out while it runs.
#pragma once

#include <absl/status/status.h>

#include "config/config.hpp"
#include "plugins/operation.hpp"

namespace berth::program {

// Has `berth config check` read the configuration, in a process of its own: what hangs or crashes
// there does this one no harm, and it has the plugins' files as a start would have them. What keeps
// that from a start is the error, and what it was waiting for when it ended without a verdict.
// Blocks, for the operation's time. Thread-safe.
absl::Status judgeNextStart(const plugins::Operation& op, const config::Paths& paths);

}  // namespace berth::program
