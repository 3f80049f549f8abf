// CRIU, which writes the state of processes to files and back (criu.org).
#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "berth/support/process.hpp"

namespace berth::support {

// Runs `criu check`, which tries what the kernel offers. FAILED_PRECONDITION with CRIU's own words
// when it cannot work here, and when `criu` is not in PATH. Blocks; one process of up to some
// hundred milliseconds.
absl::Status checkCriu(const RunLimits& limits);

// What CRIU says went wrong: the errors of a log or of its output, the first ones of them, without
// places in its source. Empty when there are none.
std::string criuErrors(std::string_view log);

}  // namespace berth::support
